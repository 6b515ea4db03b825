"""Learning from a teacher, the search's networks, and steps that are recorded for a GPU."""

import contextlib
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import TensorDataset

import mnist
import model
import utils

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
sys.path.append(str(EXPERIMENTS))

import candidates  # noqa: E402
import compare  # noqa: E402
import graphs  # noqa: E402
import results  # noqa: E402
import search  # noqa: E402
import variants  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture
def few():
    images, labels = mnist.load_mnist(test=False).tensors
    return TensorDataset(images[:320], labels[:320])


@pytest.fixture
def teacher():
    torch.manual_seed(7)
    return model.TinyNet()


# --- The loss ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_the_loss_is_that_of_the_formula(seed):
    torch.manual_seed(seed)
    student, teacher = torch.randn(2, 16, 10, dtype=torch.float64) * 4
    targets = torch.randint(10, (16,))
    temperature, share = 0.5 + 10 * torch.rand(()).item(), torch.rand(()).item()
    p, q = (torch.exp(z / temperature) for z in (teacher, student))
    p, q = p / p.sum(1, keepdim=True), q / q.sum(1, keepdim=True)
    soft = (p * (p / q).log()).sum(1).mean() * temperature**2
    hard = -student.log_softmax(1)[range(16), targets].mean()
    loss = utils.distillation_loss(student, teacher, targets, temperature, share)
    assert torch.isclose(loss, share * soft + (1 - share) * hard, rtol=1e-12)


def test_a_student_that_answers_as_its_teacher_has_nothing_to_learn_from_it():
    student = torch.randn(8, 10, dtype=torch.float64, requires_grad=True)
    loss = utils.distillation_loss(student, student.detach(), torch.zeros(8).long(), 3.0, 1.0)
    (gradient,) = torch.autograd.grad(loss, student)
    assert abs(loss) < 1e-15 and gradient.abs().max() < 1e-15


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_goes_from_the_labels_to_the_teacher(share):
    student, teacher, other = torch.randn(3, 8, 10)
    targets = torch.randint(10, (8,))
    loss = utils.distillation_loss(student, teacher, targets, share=share)
    moved = utils.distillation_loss(student, other, targets, share=share)
    assert (loss == moved) == (share == 0)
    moved = utils.distillation_loss(student, teacher, (targets + 1) % 10, share=share)
    assert (loss == moved) == (share == 1)


# --- Training with a teacher -------------------------------------------------------


def test_the_teacher_stays_as_it_is(few, teacher):
    """Its weights, and its running means and variances, although the student is in training."""
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    recipe = utils.Recipe(1, 64, learning_rate=0.1, teacher="any")
    utils.train_network(model.TinyNet, recipe, 0, few, None, CPU, teacher=teacher)
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())
    assert not teacher.training


def test_a_taught_student_learns_what_its_teacher_answers(few, teacher):
    """With share 1 the labels do not matter: wrong ones give the same student."""
    recipe = utils.Recipe(1, 64, learning_rate=0.1, teacher="any", share=1.0)
    wrong = TensorDataset(few.tensors[0], (few.tensors[1] + 1) % 10)
    students = [
        utils.train_network(model.TinyNet, recipe, 0, images, None, CPU, teacher=teacher)[0]
        for images in (few, wrong)
    ]
    assert all(map(torch.equal, *(student.state_dict().values() for student in students)))


@pytest.mark.parametrize("named, given", [("any", False), (None, True)])
def test_a_recipe_gets_the_teacher_that_it_names(few, teacher, named, given):
    recipe = utils.Recipe(1, 64, learning_rate=0.1, teacher=named)
    with pytest.raises(ValueError, match="give that network, or none"):
        utils.train_network(
            model.TinyNet, recipe, 0, few, None, CPU, teacher=teacher if given else None
        )


def test_label_smoothing_reaches_the_loss():
    logits, targets = torch.randn(8, 10), torch.randint(10, (8,))
    loss = utils.make_loss(utils.Recipe(1, 8, 0.1, label_smoothing=0.1))(None, logits, targets)
    spread = 0.9 * F.one_hot(targets, 10) + 0.01
    assert torch.isclose(loss, -(spread * logits.log_softmax(1)).sum(1).mean())
    assert utils.make_loss(utils.Recipe(1, 8, 0.1)) is None


def test_elastic_distortion_bends_and_nothing_else():
    image = torch.zeros(64, 1, 28, 28)
    image[:, :, :, 13:15] = 1  # a vertical stroke
    torch.manual_seed(0)
    bent = utils.RandomAffine(elastic=0.03)(image)
    columns = torch.arange(28.0)
    centres = (bent * columns).sum(3) / bent.sum(3).clamp(min=1e-6)  # of the stroke, row by row
    assert bent.shape == image.shape
    middle = centres[:, 0, 4:24]
    assert (middle.mean(0) - 13.5).abs().max() < 0.5  # to both sides alike
    assert middle.std(dim=1).mean() > 0.2  # not a shift of the whole image
    assert torch.allclose(utils.RandomAffine()(image), image, atol=1e-6)


# --- The search's networks ---------------------------------------------------------


@pytest.mark.parametrize(
    "name, text",
    [
        ("Net", variants.NET),
        ("RecordNet", variants.TWO),
        ("TinyRecordNet", "8p 8M 14 14 15 16"),
        ("Teacher", variants.A["layers"]),
        ("FastNet", variants.SHORT["layers"]),
        ("SprintNet", variants.SHORT_CHANGES["8-32-32-16"]["layers"]),
    ],
)
def test_a_text_and_its_class_are_the_same_network(name, text):
    made = []
    for make in (lambda: model.build(name), lambda: candidates.candidate(text)):
        utils.seed_everything(3)
        made.append(make().eval())
    images = torch.randn(4, 1, 28, 28)
    assert torch.equal(*(network(images) for network in made))


def test_residual_separable_and_excited_layers_take_part():
    network = candidates.candidate("8p 8pr 8d 8s 16M", "silu", dropout=0.1)
    assert network(torch.randn(2, 1, 28, 28)).shape == (2, 10)
    kinds = {type(layer) for layer in network.modules()}
    assert {candidates.Residual, candidates.SqueezeExcitation, torch.nn.SiLU} <= kinds
    assert any(getattr(layer, "groups", 1) == 8 for layer in network.modules())


@pytest.mark.parametrize("word", ["", "k5", "16x", "16k", "p16", "-8"])
def test_what_is_no_convolution_is_named(word):
    with pytest.raises(ValueError, match=re.escape(repr(word))):
        candidates.convolution(word, 1, torch.nn.ReLU)


def test_average_is_the_mean_of_the_logits():
    networks = [model.TinyNet().eval() for _ in range(3)]
    images = torch.randn(5, 1, 28, 28)
    mean = sum(network(images) for network in networks) / 3
    assert torch.allclose(candidates.Average(*networks)(images), mean, atol=1e-6)


def test_search_trains_the_teacher_first_and_once(few, tmp_path, monkeypatch):
    monkeypatch.setattr(search, "TEACHERS", tmp_path / "teachers")
    small = {"network": "candidate", "layers": "4k5M 8", "channels": (), "epochs": 1}
    small |= {"held_out": 100}
    monkeypatch.setitem(search.VARIANTS, "teacher, small", (small, (0,)))
    taught = search.BASE | small | {"teacher": "teacher, small"}
    row = search.measure("small, taught", taught, 0, few, CPU)
    (weights,) = (tmp_path / "teachers").iterdir()
    assert weights.name == "teacher, small 0.pt" and row["teacher"] == "teacher, small"
    before = weights.stat().st_mtime_ns
    assert row == search.measure("small, taught", taught, 0, few, CPU)
    assert weights.stat().st_mtime_ns == before


def test_the_committed_teachers_are_those_of_the_rows():
    """In 32 bits, on 2,000 test digits: at most two more or fewer than mistakes.csv says."""
    images, labels = (values[:2000] for values in mnist.load_mnist()[1].tensors)
    loader = utils.TensorLoader(TensorDataset(images, labels), 1000)
    wrong = results.read_mistakes()
    for name, seed in (("Teacher", 1), ("Teacher, dropout 0.1", 2), ("Teacher, dropout 0.3", 3)):
        recipe = replace(utils.RECIPES["taught"], teacher=name)
        teacher = compare.load_teacher(recipe).eval()
        with torch.no_grad():
            logits = torch.cat([teacher(pixels) for pixels, _ in loader])
        found = {*(logits.argmax(1) != labels).nonzero().ravel().tolist()}
        listed = {index for index in wrong[name, "teacher", seed] if index < 2000}
        assert len(found ^ listed) <= 2, name


# --- Recorded steps ----------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"teacher": "any"},
        {"plain_epochs": 1, "label_smoothing": 0.1},
        {"schedule": "constant", "learning_rate": 0.05, "weight_decay": 0.0},
    ],
    ids=str,
)
def test_recorded_steps_do_the_same(few, teacher, change, monkeypatch):
    """On a CPU nothing is recorded, but the same arithmetic runs: in 32 bits, to rounding."""
    monkeypatch.setattr(utils, "autocast", lambda device: contextlib.nullcontext())
    recipe = replace(utils.RECIPES["record"], epochs=2, batch_size=100, learning_rate=0.02)
    recipe = replace(recipe, **change)
    made = [
        utils.train_network(
            model.TinyNet,
            recipe,
            1,
            few,
            None,
            CPU,
            teacher=teacher if recipe.teacher else None,
            train_epoch=train_epoch,
        )
        for train_epoch in (utils.train, graphs.Trainer())
    ]
    (one, history), (other, recorded) = made
    for value, same in zip(one.state_dict().values(), other.state_dict().values()):
        assert torch.allclose(value.float(), same.float(), atol=1e-4)
    assert history["train_accuracy"].tolist() == pytest.approx(recorded["train_accuracy"].tolist())
    assert history["train_loss"].tolist() == pytest.approx(recorded["train_loss"], rel=1e-4)


def test_averaged_weights_are_not_recorded():
    cuda = torch.device("cuda")
    assert isinstance(graphs.trainer(cuda, utils.RECIPES["record"]), graphs.Trainer)
    assert graphs.trainer(cuda, compare.RECIPES["fast, averaged weights"]) is utils.train
    assert graphs.trainer(CPU, utils.RECIPES["record"]) is utils.train
