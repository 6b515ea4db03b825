"""The checks of the exercises of lesson 1: see `exercises.py`.

An answer is called with networks that are always the same, so that it gets the same
comment each time, and then with random ones, so that no list of numbers can pass. What is
right comes from `networks.py`, and why something is wrong from `diagnosis.py` and `slips.py`.
"""

import numpy as np
import torch

from backprop import EQUATIONS
from grading import handouts, slips
from grading.answers import numbers, require_function, written
from grading.diagnosis import (
    BIAS,
    causes,
    explain_gradients,
    fits,
    near,
    order,
    recalculate,
    rounded,
    which_is,
)
from grading.exercises import Mistake, NotDone, exercise
from grading.networks import BIASES, FORWARD, MAZUR, WEIGHTS, random_networks, right_numbers

SEED = 1  # of what is always the same
HOW_MANY = 5  # calls with that, and as many with others
DELTAS = ("δ_h1", "δ_h2", "δ_o1", "δ_o2")

# --- What is said of wrong numbers --------------------------------------------------


def first_difference(names, found, right, calls, why):
    """The sentence about wrong numbers.

    Args:
        names: of the numbers in an answer.
        found, right: arrays (calls, len(names)).
        calls: what was called, as text.
        why: the reason, or None.
    """
    wrong = ~near(found, right)
    column = int(wrong.any(0).argmax())
    row = int(wrong[:, column].argmax())
    difference = (
        f"{names[column]} should be {right[row, column]:.6g}, found {found[row, column]:.6g} "
        f"in {calls[row]}"
    )
    return f"{why}. {difference}" if why else difference


def same_everywhere(found):
    """Say that an answer's numbers do not depend on what it was given, or None."""
    if len(found) > 1 and (found == found[0]).all():
        return "the same numbers, whatever the arguments are"
    return None


def wrong_count(call, found, count, values):
    """The sentence about an answer with too many numbers, or too few.

    Args:
        values: name → a right number, by which those found are recognised.
    """
    names = [which_is(number, values) for number in found[:20]]
    known = f": {', '.join(names)}" if len(found) and all(names) else ""
    s = "" if len(found) == 1 else "s"
    return f"{call} returns {len(found)} number{s}{known}. It should return {count}"


def networks_to_try(biases=False):
    """Yield the networks that are always the same, then as many others."""
    yield random_networks(HOW_MANY, SEED, biases)
    yield random_networks(HOW_MANY, None, biases)


def compare_on(networks, function, name, arguments, names, explain):
    """Compare what an answer returns for some networks with what is right.

    Args:
        function, name: the answer.
        arguments: a function: network → fresh arguments.
        names: of the numbers that it should return, in order.
        explain: a function of (names, found, values): why they are wrong, or None.

    Raises:
        Mistake: what is wrong.
    """
    values = right_numbers(networks)
    if not set(BIASES) & set(names):  # a delta is called a delta, where nobody asks for biases
        values = {n: column for n, column in values.items() if n not in BIASES}
    right = np.array([values[n] for n in names]).T
    calls, found = [], []
    for k, network in enumerate(networks):
        calls.append(written(name, arguments(network)))
        found.append(numbers(function, name, arguments(network)))
        if len(found[-1]) != len(names):
            known = (*FORWARD, "E1", "E2", "E_total", *WEIGHTS, *BIASES, *DELTAS)
            here = {n: values[n][k] for n in known if n in values}
            raise Mistake(wrong_count(calls[-1], found[-1], len(names), here))
    found = np.array(found)
    if not fits(found, right):
        why = same_everywhere(found) or order(names, found, values) or rounded(found, right)
        why = why or explain(names, found, values)
        raise Mistake(first_difference(names, found, right, calls, why))


def first_wrong(names, found, values):
    """The name and the column of the first wrong quantity."""
    return next((n, c) for n, c in zip(names, found.T) if not fits(c, values[n]))


# --- 1.1 and 1.2 --------------------------------------------------------------------


@exercise("1.1", "forward")
def check_forward(forward):
    """The eight numbers of the forward pass."""
    require_function(forward, "forward")

    def arguments(network):
        return network.inputs, list(network.weights)

    for networks in networks_to_try():
        compare_on(networks, forward, "forward", arguments, FORWARD, _explain_forward)


def _explain_forward(names, found, values):
    """Why the first wrong quantity is wrong: all that it is calculated from is right."""
    name, column = first_wrong(names, found, values)
    if known := causes(name, column, values):
        return f"{name}: {known[0]}"
    other = which_is(column, values)
    return f"{name}: this is {other}" if other else None


@exercise("1.2", "loss")
def check_loss(loss):
    """E_total, one number."""
    require_function(loss, "loss")
    for seed, parts in ((SEED, 10), (None, 1000)):  # short numbers first, then long ones
        rng = np.random.default_rng(seed)
        # Four numbers that differ: no error is zero.
        numbers_to_draw = np.arange(-parts // 2, 3 * parts // 2 + 1) / parts
        drawn = np.array([rng.permutation(numbers_to_draw)[:4] for _ in range(HOW_MANY)])
        targets, outputs = drawn[:, :2], drawn[:, 2:]
        halves = (targets - outputs) ** 2 / 2
        calls, found = [], []
        for t, a, parts in zip(targets.tolist(), outputs.tolist(), halves):
            arguments = tuple(a), tuple(t)
            calls.append(written("loss", arguments))
            found.append(numbers(loss, "loss", arguments))
            if len(found[-1]) != 1:
                raise Mistake(wrong_count(calls[-1], found[-1], 1, dict(zip(("E1", "E2"), parts))))
        found, right = np.array(found), halves.sum(1, keepdims=True)
        if not fits(found, right):
            why = same_everywhere(found) or rounded(found, right)
            why = why or slips.first_fit(found[:, 0], slips.loss_slips(targets, outputs))
            raise Mistake(first_difference(("E_total",), found, right, calls, why))


# --- 1.3 ----------------------------------------------------------------------------

# The best ε for E in 32 bits is about 0.02. Between these two, the error is at most ten
# times the smallest in the plot of `handouts.steps_and_errors`.
BEST_EPSILON = (2e-3, 7e-2)


def cubic(cubes, products):
    """A function f(w) = Σ cubes·w³ + Σ products·w·w_next of a list of weights, and its slopes.

    A central difference of it is off by cubes·ε² exactly; the slopes are those for an ε.
    """
    cubes, products = np.array(cubes, float), np.array(products, float)

    def f(weights):
        try:
            w = np.array([float(weight) for weight in weights])
        except TypeError:
            raise Mistake(f"f is called with {weights!r:.50}: it takes the whole list") from None
        if len(w) != len(cubes):
            raise Mistake(f"f is called with {len(w)} weights: it takes all {len(cubes)}")
        return float(cubes @ w**3 + products @ (w[:-1] * w[1:]))

    def slopes(w, epsilon):
        right = 3 * cubes * w**2 + cubes * epsilon**2
        right[:-1] += products * w[1:]
        right[1:] += products * w[:-1]
        return right

    parts = [f"{c:g} * w[{k}] ** 3" for k, c in enumerate(cubes)]
    parts += [f"{c:g} * w[{k}] * w[{k + 1}]" for k, c in enumerate(products)]
    f.__name__ = "lambda w: " + " + ".join(parts)
    return f, slopes


@exercise("1.3", "numerical_gradient", "best_epsilon")
def check_numerical_gradient(numerical_gradient, best_epsilon):
    """Central differences of any function, and a number read from a plot."""
    try:
        require_function(numerical_gradient, "numerical_gradient")
    except NotDone:
        if best_epsilon is None:
            raise
        raise Mistake("numerical_gradient is still to be written") from None
    for f, w in (
        (cubic((2, 3), (1,)), [0.5, -0.4]),
        (cubic((1, -2, 3), (2, -1)), [0.7, 0.2, -0.6]),
    ):
        _check_differences(numerical_gradient, *f, w, 0.1)
        _check_differences(numerical_gradient, *f, w, None)
    rng = np.random.default_rng()
    for size in (1, 2, 8):
        f = cubic(rng.integers(1, 6, size), rng.integers(1, 6, size - 1))
        w = (rng.integers(1, 10, size) / 10).tolist()
        _check_differences(numerical_gradient, *f, w, float(rng.integers(5, 20)) / 100)
    _check_best_epsilon(best_epsilon)


def _check_differences(answer, f, slopes, w, epsilon):
    """Try central differences of one function; with ε None, the answer's own default."""
    given = list(w)
    arguments = (f, given) if epsilon is None else (f, given, epsilon)
    call = written("numerical_gradient", arguments)
    found = numbers(answer, "numerical_gradient", arguments)
    w, epsilon = np.array(w), epsilon or 1e-5
    right = slopes(w, epsilon)
    if len(found) != len(w):
        raise Mistake(wrong_count(call, found, len(w), {}))
    if not fits(found, right):
        known = slips.difference_slips(f, w, epsilon) | {"ε is not used": slopes(w, 0)}
        names = [f"∂f/∂w[{k}]" for k in range(len(w))]
        why = slips.first_fit(found, known)
        raise Mistake(first_difference(names, found[None], right[None], [call], why))
    if len(given) != len(w) or np.abs(np.array(given, float) - w).max() > 1e-12:
        raise Mistake(f"the list of weights is changed. It is {given} after {call}")


def _check_best_epsilon(best_epsilon):
    """The order of magnitude is asked for."""
    right = "numerical_gradient is right; best_epsilon"
    if best_epsilon is None:
        raise Mistake(f"{right} is still missing")
    try:
        epsilon = float(best_epsilon)
    except (TypeError, ValueError):
        epsilon = np.nan
    if not epsilon > 0:
        raise Mistake(f"{right} is {best_epsilon!r:.50}: give the step itself, a positive number")
    if not BEST_EPSILON[0] <= epsilon <= BEST_EPSILON[1]:
        side = "small" if epsilon < BEST_EPSILON[0] else "large"
        raise Mistake(
            f"{right} = {epsilon:g} is too {side}: where in the plot is the curve for 32 bits "
            "lowest?"
        )


# --- 1.4 and 1.7 --------------------------------------------------------------------


def _explain_backward(names, found, values):
    """Why gradients are wrong, or which quantity stands in place of the first wrong one."""
    if why := explain_gradients(names, found, values):
        return why
    name, column = first_wrong(names, found, values)
    other = which_is(column, values)
    return f"{name}: this is {other}" if other else None


def _explain_biases(names, found, values):
    """As `_explain_backward`, and for weights whose gradients know no biases."""
    without = recalculate(values, {neuron: EQUATIONS[neuron] for neuron in BIAS})
    half_right = [without[n] if n in WEIGHTS else values[n] for n in names]
    if fits(found.T, half_right):
        return "the gradients of the weights are those of the network without biases"
    return _explain_backward(names, found, values)


@exercise("1.4", "backward")
def check_backward(backward):
    """The eight gradients."""
    require_function(backward, "backward")

    def arguments(network):
        return network.inputs, network.targets, list(network.weights)

    for networks in networks_to_try():
        compare_on(networks, backward, "backward", arguments, WEIGHTS, _explain_backward)


@exercise("1.7", "backward_with_biases")
def check_backward_with_biases(backward_with_biases):
    """Eight gradients and four. Mazur's network is among those that are tried."""
    name = "backward_with_biases"
    require_function(backward_with_biases, name)

    def arguments(network):
        return network.inputs, network.targets, list(network.weights), list(network.biases)

    for networks in networks_to_try(biases=True):
        networks = [MAZUR, *networks]
        names = WEIGHTS + BIASES
        compare_on(networks, backward_with_biases, name, arguments, names, _explain_biases)


# --- 1.5 ----------------------------------------------------------------------------


@exercise("1.5", "train")
def check_train(train):
    """E by epoch."""
    require_function(train, "train")
    for networks in networks_to_try():
        runs = [*zip(networks, (1.0, 0.5, 2.0, 1.5, 0.8), (6, 4, 1, 12, 25))]
        right = [slips.losses(*run) for run in runs]
        calls, found = [], []
        for (network, rate, epochs), of in zip(runs, right):
            given = network.inputs, network.targets
            calls.append(written("train", (*given, list(network.weights), rate, epochs)))
            arguments = (*given, list(network.weights), rate, epochs)
            found.append(numbers(train, "train", arguments))
            if len(found[-1]) != len(of):
                raise Mistake(_wrong_epochs(calls[-1], found[-1], of))
        if not all(map(fits, found, right)):
            k = [*map(fits, found, right)].index(False)
            names = [f"E of epoch {epoch}" for epoch in range(len(right[k]))]
            why = _explain_losses(runs, found)
            raise Mistake(first_difference(names, found[k][None], right[k][None], [calls[k]], why))


def _wrong_epochs(call, found, right):
    """The sentence about too many or too few epochs."""
    text = wrong_count(call, found, len(right), {})
    if len(found) == len(right) + 1 and fits(found[:-1], right):
        return f"{text}: the first is E before any update, so E after the last one is too many"
    if len(found) == len(right) - 1 and fits(found, right[:-1]):
        return f"{text}: the last one is missing"
    if len(found) == len(right) - 1 and fits(found, right[1:]):
        return f"{text}: the first one is missing, E of the given weights"
    return f"{text}: E of each epoch"


def _explain_losses(runs, found):
    """Why losses by epoch are wrong, or None."""
    later = [slips.losses(network, rate, epochs + 1)[1:] for network, rate, epochs in runs]
    if all(map(fits, found, later)):
        return "E of the given weights comes first: these losses start after an update"
    for factor, text in ((1, ""), (2, "E is twice the right value"), (0.5, "E is half of it")):
        for what, step in {"": None, **slips.UPDATES}.items():
            if all(fits(f, factor * slips.losses(*run, step)) for f, run in zip(found, runs)):
                return "; ".join(part for part in (text, what) if part)
    return None


# --- 1.6 ----------------------------------------------------------------------------


@exercise("1.6", "right", "mistakes")
def check_find_the_bug(right, mistakes):
    """Which of four functions is right, and what is wrong in the others."""
    if right is None and not mistakes:
        raise NotDone
    letters, statements = [*handouts.FUNCTIONS], handouts.STATEMENTS
    if not isinstance(mistakes, dict):
        raise Mistake("mistakes should be a dict such as {'A': 1}: a letter, and a statement")
    chosen = {_letter(key): _whole(number) for key, number in mistakes.items()}
    if right is not None and _letter(right) not in letters:
        raise Mistake(f"right is {right!r:.50}: it should be one of {', '.join(letters)}")
    for letter, number in chosen.items():
        if letter not in letters:
            raise Mistake(
                f"mistakes has {letter!r:.50}: its keys are letters from {', '.join(letters)}"
            )
        if number not in statements and letter == _letter(right):
            raise Mistake(
                f"leave the right function out of mistakes: you say that {letter} is right"
            )
        if number not in statements:
            raise Mistake(
                f"mistakes[{letter!r}]: give the number of a statement, 1 to {len(statements)}"
            )
    if right is None:
        raise Mistake("right is still missing: which function has no mistake?")
    if _letter(right) in chosen:
        raise Mistake(f"{_letter(right)} is called right, and has a mistake: both cannot be")
    if len(chosen) < len(letters) - 1:
        raise Mistake(
            f"mistakes has {len(chosen)} functions, there are {len(letters) - 1} wrong ones"
        )
    answer = chosen | {_letter(right): None}
    count = sum(answer[letter] == number for letter, number in handouts.solution().items())
    if count < len(letters):
        raise Mistake(f"{count} of {len(letters)} are right")


def _letter(value):
    """A letter as it is typed: "a", or the function A itself."""
    return str(getattr(value, "letter", value)).strip().upper()


def _whole(value):
    """A number as it is typed: 3, "3" or 3.0; None where it is no whole number."""
    try:
        return int(value) if int(value) == float(value) else None
    except (TypeError, ValueError, OverflowError):
        return None


# --- 1.8 ----------------------------------------------------------------------------

# exp overflows or is 0, so that 0/0 follows, where nothing is subtracted, or not the largest.
LARGE_LOGITS = (
    ([1000.0, 998.0, 0.0], 1),
    ([-1000.0, -1001.0, -1003.0], 0),
    ([750.0, -750.0], 1),
    ([0.0, 1.0, 1000.0], 2),
)
EQUAL_LOGITS = ([0.5, -1.0, 0.5], 2)  # a class is no other one because its logit is the same


@exercise("1.8", "softmax_cross_entropy_gradient")
def check_softmax(softmax_cross_entropy_gradient):
    """∂loss/∂logits for any number of logits, large ones too."""
    require_function(softmax_cross_entropy_gradient, "softmax_cross_entropy_gradient")
    for seed in (SEED, None):
        rng = np.random.default_rng(seed)
        cases = []
        for size in (3, 2, 5, 10, 4):
            logits = rng.permutation(np.arange(-30, 31))[:size] / 10
            cases.append((logits.tolist(), int(rng.integers(size))))
        _compare_softmax(softmax_cross_entropy_gradient, cases)
    _compare_softmax(softmax_cross_entropy_gradient, [EQUAL_LOGITS])
    for case in LARGE_LOGITS:
        try:
            _compare_softmax(softmax_cross_entropy_gradient, [case])
        except Mistake as mistake:
            text = "right for small logits, but exp overflows or is 0 for large ones"
            raise Mistake(f"{text}. {mistake}") from None


def _compare_softmax(answer, cases):
    calls, found, right, known = [], [], [], []
    for logits, target in cases:
        arguments = list(logits), target
        calls.append(written("softmax_cross_entropy_gradient", arguments))
        found.append(numbers(answer, "softmax_cross_entropy_gradient", arguments))
        z = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
        loss = torch.nn.functional.cross_entropy(z, torch.tensor(target))
        right.append(torch.autograd.grad(loss, z)[0].numpy())
        if len(found[-1]) != len(logits):
            loss = {"the loss itself": loss.item()}
            raise Mistake(wrong_count(calls[-1], found[-1], len(logits), loss))
        with np.errstate(all="ignore"):
            known.append(slips.softmax_slips(np.array(logits), target))
    if not all(map(fits, found, right)):
        k = [*map(fits, found, right)].index(False)
        names = [f"∂loss/∂z[{n}]" for n in range(len(right[k]))]
        whys = (what for what in known[0] if all(fits(f, s[what]) for f, s in zip(found, known)))
        why = next(whys, None)
        raise Mistake(first_difference(names, found[k][None], right[k][None], [calls[k]], why))
