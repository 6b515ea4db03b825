"""McNemar's exact test, and what exercise 2.6 asks about three trained networks."""

from functools import cache
from math import comb, erfc, sqrt
from pathlib import Path

import torch

import mnist
import model

WEIGHTS = Path(__file__).resolve().parents[1] / "experiments" / "weights"
NETWORKS = ("Net", "TinyNet", "D")

CLAIMS = (
    "On other digits of this kind, this Net makes fewer mistakes than this TinyNet.",
    "On other digits of this kind, this Net makes fewer mistakes than this D.",
    "This Net and this TinyNet are equally good.",
    "If both were equally good, Net and D would differ as much as here, or more, in fewer than "
    "1 of 100 tests.",
    "With a probability of at least 99 %, this Net is better than this D.",
    "A Net trained from another seed makes fewer mistakes than a D trained from another seed.",
)


@cache
def right_digits():
    """Which of the 10,000 test digits the networks in experiments/weights read rightly.

    Returns:
        {name: bool tensor (10000,)} for each of `NETWORKS`.

    Raises:
        RuntimeError: MNIST cannot be had.
    """
    images, labels = mnist.load_mnist()[1].tensors
    batches = mnist.normalise(images.unsqueeze(1) / 255).split(1000)
    right = {}
    for name in NETWORKS:
        network = model.build(name).eval()
        network.load_state_dict(torch.load(WEIGHTS / f"{name}.pt", weights_only=True))
        with torch.no_grad():
            right[name] = torch.cat([network(batch).argmax(1) for batch in batches]) == labels
    return right


def supported_claims():
    """The numbers, from 1, of the `CLAIMS` that the test supports at a level of 5 %."""
    right = right_digits()
    p = {other: exact_p(*discordant(right["Net"], right[other])) for other in NETWORKS[1:]}
    # 3: a large p is no evidence that both are equal. 5: p is the probability of such data,
    # not of a claim. 6: one training of each network says nothing about other trainings.
    supports = (p["TinyNet"] < 0.05, p["D"] < 0.05, False, p["D"] < 0.01, False, False)
    return {number for number, yes in enumerate(supports, start=1) if yes}


def discordant(right_a, right_b):
    """How many digits only a reads rightly, and how many only b."""
    return int((right_a & ~right_b).sum()), int((~right_a & right_b).sum())


def exact_p(only_a, only_b):
    """The two-sided p-value: each digit of these falls to either side with probability ½."""
    count = only_a + only_b
    tail = sum(comb(count, k) for k in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail / 2**count)


def p_slips(both, only_a, only_b, neither):
    """What people calculate in place of `exact_p`: words → p.

    Args:
        both, only_a, only_b, neither: how many digits are read rightly by both networks, …

    Returns:
        {} where no digit tells the two apart: people let that be a case of its own.
    """
    count, total = only_a + only_b, both + only_a + only_b + neither
    if not count:
        return {}
    less, more = sorted((only_a, only_b))
    here = comb(count, less) / 2**count
    tail, tail_a, tail_b = (
        sum(comb(count, k) for k in range(end + 1)) / 2**count for end in (less, only_a, only_b)
    )
    chi_square, corrected = (max(more - less - step, 0) ** 2 / count for step in (0, 1))
    return {
        "this is one tail; two-sided is twice as much": tail,
        "a p-value is never above 1": 2 * tail,
        "the tail ends at the smaller count, and a's may be the larger count": min(1, 2 * tail_a),
        "the tail ends at the smaller count, and b's may be the larger count": min(1, 2 * tail_b),
        "this is the tail on the side of the larger count": 2 * (1 - tail + here),
        "p is 1 for all counts; with the larger count in place of the smaller, it is, too": 1,
        "the result that was found belongs to the tail, too": 2 * (tail - here),
        "this is the probability of this count only; add those further out": 2 * here,
        "this is the probability of this count only; add those further out, on both sides": here,
        "this is the approximation by χ²; the exact value is asked for": erfc(sqrt(chi_square / 2)),
        "this is the corrected approximation by χ²; the exact value is asked for": (
            erfc(sqrt(corrected / 2))
        ),
        "only digits that one network reads rightly and the other wrongly count": min(
            1, 2 * sum(comb(total, k) for k in range(less + 1)) / 2**total
        ),
        "this is 1 − p": 1 - min(1, 2 * tail),
        "this is the mid-p-value; the exact one is asked for": 2 * tail - here,
    }
