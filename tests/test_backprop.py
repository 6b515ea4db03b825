"""Lesson 1's numbers against oracles that know nothing of its formulas."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sympy
import torch

import backprop
import derivation
import figures
from backprop import (
    COLUMNS,
    EQUATIONS,
    GRADIENTS,
    WEIGHTS,
    autograd_gradients,
    closed_form_gradients,
    finite_difference_gradients,
    gradient_descent,
    to_excel,
    to_latex,
    to_text,
)

ROOT = Path(backprop.__file__).parent


def random_networks(count, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    inputs, targets = rng.normal(0, scale, (count, 2)), rng.uniform(0, 1, (count, 2))
    return inputs, targets, rng.normal(0, scale, (count, 8))


def test_example_at_epoch_0():
    first = gradient_descent().iloc[0]
    assert first["E_total"] == pytest.approx(0.014181377937891659, rel=1e-15)
    assert first["∂E/∂w3"] == pytest.approx(3.5177632159e-4, rel=1e-10)
    assert first["∂E/∂w3"] != pytest.approx(3.51869e-4, rel=1e-5)  # with a_h1 in place of a_h2


def test_thousand_networks_three_ways():
    networks = random_networks(1000)
    closed_form = closed_form_gradients(*networks)
    assert closed_form.shape == (1000, 8)
    assert abs(closed_form - autograd_gradients(*networks)).max() < 1e-14
    assert abs(closed_form - finite_difference_gradients(*networks)).max() < 1e-8


@pytest.mark.parametrize("rate", [0.1, 2.0, 8.0])
def test_gradient_descent_is_torch_sgd(rate):
    (inputs,), (targets,), (weights,) = random_networks(1, seed=3)
    frame = gradient_descent(inputs, targets, weights, rate, epochs=60)
    hidden, output = (torch.nn.Linear(2, 2, bias=False, dtype=torch.float64) for _ in range(2))
    hidden.weight.data[:] = torch.tensor(weights[:4].reshape(2, 2))
    output.weight.data[:] = torch.tensor(weights[4:].reshape(2, 2))
    net = torch.nn.Sequential(hidden, torch.nn.Sigmoid(), output, torch.nn.Sigmoid())
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    for _, row in frame.iterrows():
        now = torch.cat([hidden.weight.flatten(), output.weight.flatten()]).detach().numpy()
        np.testing.assert_allclose(row[[str(w) for w in WEIGHTS]].to_numpy(float), now, atol=1e-11)
        optimizer.zero_grad()
        loss = 0.5 * (torch.tensor(targets) - net(torch.tensor(inputs))).square().sum()
        assert row["E_total"] == pytest.approx(loss.item(), abs=1e-12)
        loss.backward()
        optimizer.step()


def test_columns_and_rows():
    frame = gradient_descent(epochs=7)
    assert list(frame.columns) == COLUMNS == (
        "epoch t1 t2 i1 i2 w1 w2 w3 w4 h1 a_h1 h2 a_h2 w5 w6 w7 w8 o1 a_o1 o2 a_o2 "
        "E1 E2 E_total ∂E/∂w1 ∂E/∂w2 ∂E/∂w3 ∂E/∂w4 ∂E/∂w5 ∂E/∂w6 ∂E/∂w7 ∂E/∂w8"
    ).split()  # fmt: skip
    assert list(frame["epoch"]) == list(range(7))
    assert (frame.dtypes.iloc[1:] == np.float64).all()


@pytest.mark.parametrize("size", [40, 350])
def test_stable_for_large_activations(size):
    for signs in np.random.default_rng(1).choice([-1, 1], (20, 8)):
        frame = gradient_descent((1, -1), weights=size * signs, epochs=3)
        assert np.isfinite(frame.to_numpy()).all()
        oracle = autograd_gradients((1, -1), (0.5, 0.5), size * signs)
        np.testing.assert_allclose(frame.iloc[0, -8:].to_numpy(float), oracle, atol=1e-14)


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"inputs": (1, 0), "weights": (-709.7, 0, 0, 0, 1, 1, 1, 1)}, None),
        ({"inputs": (1, 0), "weights": (-709.9, 0, 0, 0, 1, 1, 1, 1)}, r"exp\(−h1\).* epoch 0"),
        ({"inputs": (1, 0), "weights": (0, 0, -800, 0, 1, 1, 1, 1)}, r"exp\(−h2\).* is -800,"),
        ({"inputs": (1, 0), "weights": (800, 0, 0, 0, 1, 1, 1, 1)}, None),  # exp(−800) is 0
        ({"learning_rate": 1e7}, r"exp\(−h1\).* epoch 1.*smaller learning rate"),
    ],
)
def test_what_overflows_in_a_spreadsheet_is_refused(settings, says):
    if says is None:
        assert np.isfinite(gradient_descent(**settings).to_numpy()).all()
    else:
        with pytest.raises(ValueError, match=says):
            gradient_descent(**settings)


def test_readable_forms():
    assert to_text(GRADIENTS[backprop.w5]) == "(a_o1 − t1)·a_o1·(1 − a_o1)·a_h1"
    assert to_text(GRADIENTS[backprop.w1]) == (
        "[(a_o1 − t1)·a_o1·(1 − a_o1)·w5 + (a_o2 − t2)·a_o2·(1 − a_o2)·w7]·a_h1·(1 − a_h1)·i1"
    )
    chain = backprop.chain_rule(backprop.w5)
    assert to_text(chain) == "∂E1/∂a_o1 · ∂a_o1/∂o1 · ∂o1/∂w5"
    assert to_latex(chain).count(r"\frac{\partial ") == 3
    assert to_excel(EQUATIONS[backprop.a_h1]) == "1/(1 + EXP(-{h1}))"


def test_every_equality_of_the_derivation_holds():
    """Each side of each equals sign has the same value, local derivatives put in."""
    row = gradient_descent((0.3, -0.7), (0.2, 0.9), np.linspace(-1, 1.5, 8), epochs=1).iloc[0]
    known = [*backprop.INPUTS, *backprop.TARGETS, *WEIGHTS, *EQUATIONS]
    values = {symbol: row[str(symbol)] for symbol in known}
    slopes = {
        backprop.partial(quantity, variable): backprop.local_derivative(quantity, variable)
        for quantity, equation in EQUATIONS.items()
        for variable in equation.free_symbols
    }
    for variable in (*WEIGHTS, backprop.a_h1, backprop.a_h2):
        slopes[backprop.partial(backprop.E_total, variable)] = backprop.gradient(variable)
    slopes |= {
        delta: formula.xreplace(backprop.DELTAS) for delta, formula in backprop.DELTAS.items()
    }
    for quantity in backprop.SIGMOIDS.values():
        slopes[backprop.partial(backprop.E_total, quantity)] = backprop.gradient(quantity)
    steps = derivation.steps()
    assert len(steps) == 7
    for equalities in steps.values():
        for left, *others in equalities:
            sides = [side.xreplace(slopes).subs(values).evalf() for side in (left, *others)]
            assert all(abs(side - sides[0]) < 1e-14 for side in sides), (left, others)


def test_equations_table_values():
    table = derivation.equations_table()
    first = gradient_descent(epochs=1).iloc[0]
    shown = dict(zip(table["quantity"], table["value"]))
    assert len(table) == 25 and set(COLUMNS[9:13] + COLUMNS[17:]) <= set(shown)
    for name in set(shown) & set(COLUMNS):
        assert shown[name] == pytest.approx(first[name], rel=1e-14)
    assert shown["δ_h1"] * first["i1"] == pytest.approx(first["∂E/∂w1"], rel=1e-14)
    assert shown["∂E/∂a_h1"] * first["a_h1"] * (1 - first["a_h1"]) * first["i1"] == pytest.approx(
        first["∂E/∂w1"], rel=1e-14
    )


def texts_of(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text()]


def test_the_picture_of_gradients_shows_both_paths():
    first = gradient_descent(epochs=1).iloc[0]
    figure = figures.draw_gradients(first)
    texts = texts_of(figure)
    for weight in WEIGHTS:
        assert any(f"w_{{{str(weight)[1]}}}$ = {first[f'∂E/∂{weight}']:.6f}" in t for t in texts)
    assert {"0.010165", "0.015199", "0.011436", "0.016719"} <= {*texts}
    assert any("=\n0.010165 + 0.015199\n= 0.025364" in text for text in texts)
    hidden = texts_of(figures.draw_gradients(first, hidden=(backprop.a_h1, backprop.w1)))
    assert sum(text.endswith("?") for text in hidden) == 2 and len(hidden) == len(texts)
    ends = [note.xy for note in figure.axes[0].texts if getattr(note, "arrow_patch", None)]
    targets = {figures._POSITIONS[target] for target in backprop.TARGETS}
    assert len(ends) == 16 and not targets & {*map(tuple, ends)}


def test_the_walk_ends_with_the_gradient():
    first = gradient_descent((0.3, -0.7), (0.2, 0.9), np.linspace(-1, 1.5, 8), epochs=1).iloc[0]
    for weight in WEIGHTS[:4]:
        texts = texts_of(figures.draw_walk(first, weight))
        assert texts[-1].endswith(f": {first[f'∂E/∂{weight}']:.6f}")


# --- Deltas ------------------------------------------------------------------------


def test_the_forms_with_deltas():
    shown = {str(symbol): to_text(formula) for symbol, formula in backprop.DELTAS.items()}
    assert shown == {
        "δ_o1": "(a_o1 − t1)·a_o1·(1 − a_o1)",
        "δ_o2": "(a_o2 − t2)·a_o2·(1 − a_o2)",
        "δ_h1": "(δ_o1·w5 + δ_o2·w7)·a_h1·(1 − a_h1)",
        "δ_h2": "(δ_o1·w6 + δ_o2·w8)·a_h2·(1 − a_h2)",
    }
    short = [to_text(formula) for formula in backprop.SHORT_GRADIENTS.values()]
    assert (
        short == ("δ_h1·i1 δ_h1·i2 δ_h2·i1 δ_h2·i2 δ_o1·a_h1 δ_o1·a_h2 δ_o2·a_h1 δ_o2·a_h2").split()
    )


def test_both_forms_are_the_same_formula():
    """Not at points: the deltas put in, the difference is zero as an expression."""
    for weight in WEIGHTS:
        whole = backprop.SHORT_GRADIENTS[weight].xreplace(backprop.DELTAS).xreplace(backprop.DELTAS)
        assert sympy.expand(whole - GRADIENTS[weight]) == 0


def test_both_forms_agree_over_a_thousand_networks():
    networks = random_networks(1000)
    written_out = closed_form_gradients(*networks)
    np.testing.assert_allclose(backprop.delta_gradients(*networks), written_out, rtol=1e-13, atol=0)


def test_multiplications_are_counted():
    x, y, z = sympy.symbols("x y z")
    with sympy.evaluate(False):
        assert backprop.multiplications([x * y * z, (x - y) * z, x + y]) == 3
    assert backprop.multiplications(GRADIENTS.values()) == 48
    assert backprop.multiplications([*backprop.DELTAS.values()]) == 12


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"inputs": (NAN, 1)}, "inputs"),
        ({"inputs": (INF, 1)}, "inputs"),
        ({"inputs": (1, 2, 3)}, "inputs"),
        ({"inputs": 1}, "inputs"),
        ({"inputs": [[1, 2], [3, 4]]}, "one network"),
        ({"targets": ("0.5", "0.5")}, "targets"),
        ({"targets": (None, 0.5)}, "targets"),
        ({"targets": ([1], [2, 3])}, "targets"),
        ({"weights": range(7)}, "weights"),
        ({"weights": "12345678"}, "weights"),
        ({"weights": [True] * 8}, "weights"),
        ({"weights": [1j] * 8}, "weights"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"learning_rate": NAN}, "learning_rate"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"learning_rate": None}, "learning_rate"),
        ({"learning_rate": (1, 2)}, "learning_rate"),
        ({"learning_rate": [[1], [2]]}, "learning_rate"),
        ({"learning_rate": [0.5]}, "learning_rate"),
        ({"epochs": 0}, "epochs"),
        ({"epochs": -3}, "epochs"),
        ({"epochs": 2.5}, "epochs"),
        ({"epochs": True}, "epochs"),
        ({"epochs": "ten"}, "epochs"),
        ({"weights": [1e200] * 8, "inputs": (1e200, 1)}, "overflow"),
        ({"learning_rate": 1e308, "targets": (1e200, 0)}, "overflow"),
    ],
)
def test_nonsense_is_refused_in_words(settings, says):
    with pytest.raises(ValueError, match=says):
        gradient_descent(**settings)


def test_leading_dimensions_are_broadcast():
    (inputs, targets, weights), one = random_networks(5), random_networks(1, seed=9)
    for network in ((inputs, one[1][0], one[2][0]), (one[0][0], targets[0], weights)):
        shapes = [
            method(*network)
            for method in (closed_form_gradients, autograd_gradients, finite_difference_gradients)
        ]
        assert [shape.shape for shape in shapes] == [(5, 8)] * 3
        assert abs(shapes[0] - shapes[1]).max() < 1e-14


def test_a_row_is_paired_by_symbol():
    """Whatever the order of what is given, each quantity gets its own value."""
    (inputs,), (targets,), (weights,) = random_networks(1, seed=5)
    given = dict(zip(backprop.GIVEN, (*targets, *inputs, *weights)))
    row = backprop.spreadsheet_row(given)
    assert backprop.spreadsheet_row(dict(reversed(given.items()))) == row
    first = gradient_descent(inputs, targets, weights, epochs=1).iloc[0]
    assert {s.name: value for s, value in (given | row).items()} == dict(first.iloc[1:])


def test_backprop_draws_nothing():
    """Importing it loads no matplotlib: the workers that check workbooks import it."""
    code = "import sys, backprop; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_order_of_a_gradient_dict_does_not_matter():
    backwards = dict(reversed(GRADIENTS.items()))
    assert gradient_descent(gradients=backwards).equals(gradient_descent())


def test_other_gradients_can_be_tried():
    wrong = GRADIENTS | {backprop.w3: GRADIENTS[backprop.w1]}
    frame = gradient_descent(gradients=wrong, epochs=2)
    assert frame["∂E/∂w3"][0] == frame["∂E/∂w1"][0] == gradient_descent()["∂E/∂w1"][0]
