"""The networks: exact counts, true docstrings, clear errors."""

import re

import pytest
import torch
from torch.utils.data import TensorDataset

import mnist
import model
import utils
from model import NETWORKS, build, count_parameters

PUBLISHED = {"A": 18_114, "B": 15_544, "C": 19_210, "D": 17_962, "E": 19_816}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name):
    assert count_parameters(build(name)) == PUBLISHED[name]


def test_ours_are_small():
    for name in ("Net", "FastNet", "RecordNet", "SprintNet"):
        assert count_parameters(build(name)) < 20_000
    for name in ("TinyNet", "TinyRecordNet"):
        assert count_parameters(build(name)) < 8_000


@pytest.mark.parametrize("name", NETWORKS)
def test_the_docstring_says_how_many_parameters(name):
    assert f"{count_parameters(build(name)):,} parameters" in NETWORKS[name].__doc__


@pytest.mark.parametrize("name", [name for name in NETWORKS if "|--" in NETWORKS[name].__doc__])
def test_docstring_table_is_true(name):
    """The docstring's parameters add up; its sizes and fields are computed ones, in order."""
    lines = [line.split("|")[1:-1] for line in NETWORKS[name].__doc__.splitlines() if "|" in line]
    rows = [[cell.strip() for cell in line] for line in lines[2:]]
    total = sum(int(row[3].replace(",", "")) for row in rows if row[3])
    assert total == count_parameters(build(name))
    layers = model.summary(build(name)).iloc[:-1]
    sizes = [output.split("×")[-2:] if "×" in output else [output] for output in layers["output"]]
    computed = iter(list(zip(map("×".join, sizes), layers["receptive field"])))
    for what, output, field, _ in rows:
        if "×" in output:  # each row's (size, field) comes after that of the row before
            assert (output, int(field)) in computed, what


@pytest.mark.parametrize("name", NETWORKS)
def test_shapes(name):
    network = build(name).eval()
    assert network(torch.zeros(3, 1, 28, 28)).shape == (3, 10)
    for shape in [(28, 28), (1, 28, 28), (3, 28, 28), (2, 3, 28, 28), (2, 1, 32, 32)]:
        with pytest.raises(ValueError, match=re.escape(str(shape))):
            network(torch.zeros(shape))


def test_what_is_said_of_networks_names_networks_and_recipes():
    assert model.PUBLISHED_ACCURACY.keys() <= PUBLISHED.keys()
    assert model.OUR_RECIPE.keys() == NETWORKS.keys()
    assert {*model.OUR_RECIPE.values()} <= utils.RECIPES.keys()
    for name, accuracy in model.PUBLISHED_ACCURACY.items():
        assert f"{accuracy:.2f} %" in NETWORKS[name].__doc__


def test_unknown_names():
    with pytest.raises(ValueError, match="there are Net, TinyNet, FastNet, R"):
        build("resnet")
    with pytest.raises(ValueError, match="unknown layer"):
        model.conv(1, 2, then="relu batchnorm")


@pytest.mark.parametrize("name", NETWORKS)
def test_some_steps_are_enough_to_learn(name):
    """78 steps on 10,000 images; a guess would be right one time in ten."""
    images, labels = mnist.load_mnist(test=False).tensors
    utils.seed_everything(0)
    network = build(name)
    loader = utils.TensorLoader(TensorDataset(images[:10_000], labels[:10_000]), 128, shuffle=True)
    judge = utils.TensorLoader(TensorDataset(images[-2_000:], labels[-2_000:]), 1000)
    recipe = utils.Recipe(1, 128, learning_rate=0.05, weight_decay=5e-4)
    optimizer, scheduler = utils.make_optimizer(network, recipe, len(loader))
    history = utils.fit(network, loader, judge, optimizer, scheduler, epochs=1)
    assert history["test_accuracy"].iloc[-1] > 0.8


def test_receptive_field_is_what_the_gradient_sees():
    network = build("D").eval()
    layers = model.summary(network)
    images = torch.randn(200, 1, 28, 28, requires_grad=True)
    network.layers[:7](images)[:, :, 5, 5].sum().backward()  # after the first pool
    columns = images.grad.abs().sum(dim=(0, 1, 2)).nonzero()
    assert int(columns.max() - columns.min()) + 1 == layers["receptive field"][6] == 8
