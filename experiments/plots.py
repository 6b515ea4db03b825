"""The figures of notebook 3: rows of the long runs as pictures.

They take DataFrames and read no file. The style is that of all figures, in `figures.py`.
"""

import sys
from math import comb
from pathlib import Path

import matplotlib.pyplot as plt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from figures import CURVE_COLOURS, styled


@styled
def plot_comparison(summary, published):
    """Accuracy after the last epoch, mean ± standard deviation, from few to many parameters.

    On a scale of parameters, networks of nearly the same size would overlap. So they are
    placed at equal distances, ordered by their number of parameters.

    Args:
        summary: what `summarise` in results.py returns.
        published: a Series, network → the accuracy in percent that was published.
    """
    figure, ax = plt.subplots(figsize=(1 + 0.9 * summary.index.get_level_values(0).nunique(), 4.5))
    names, recipes = (summary.index.get_level_values(k) for k in summary.index.names)
    sizes = summary.groupby(names)["parameters"].first().sort_values()
    columns = names.map({name: k for k, name in enumerate(sizes.index)})
    left = {"offset": -0.12, "fmt": "o", "color": CURVE_COLOURS[3], "mfc": "white"}
    right = {"offset": 0.12, "fmt": "s", "color": CURVE_COLOURS[0]}
    for label, rows, style in (
        ("as published, run again", names == recipes, left),
        ("with our recipes", names != recipes, right),
    ):
        x = columns[rows] + style.pop("offset")
        ax.errorbar(x, summary["mean"][rows], summary["sd"][rows], capsize=4, label=label, **style)
    x = [sizes.index.get_loc(name) - 0.12 for name in published.index]
    ax.plot(x, published, color="0.4", marker="x", ls="", label="what was published")
    ax.axhline(99.4, color="0.5", linewidth=1, linestyle=":")
    ticks = [f"{name}\n{size:,}" for name, size in sizes.items()]
    ax.set(xticks=range(len(sizes)), xticklabels=ticks, xlabel="network, parameters")
    ax.set(ylabel="accuracy after the last epoch (%)")
    ax.grid(False, axis="x")
    ax.legend(loc="lower left")
    return figure


@styled
def plot_differences(differences, xlabel):
    """Differences as points with their standard errors, a line a row, and a line at zero.

    Args:
        differences: a DataFrame with the columns mean and error, indexed by name.
    """
    figure, ax = plt.subplots(figsize=(8, 0.6 + 0.4 * len(differences)))
    lines = range(len(differences))[::-1]  # the first row at the top
    bars = {"xerr": differences["error"], "color": CURVE_COLOURS[0], "fmt": "s", "capsize": 3}
    ax.errorbar(differences["mean"], lines, **bars)
    ax.axvline(0, color="0.5", linewidth=1)
    ax.set(yticks=lines, yticklabels=differences.index, xlabel=xlabel)
    ax.margins(y=0.15)
    return figure


@styled
def plot_p_values(pairs, limits):
    """One line a pair of networks: the p-values that it gets, depending on the runs compared.

    Args:
        pairs: a DataFrame with the columns smallest, seed 1 and largest, indexed by name.
        limits: {label: p-value} of the dotted lines.
    """
    figure, ax = plt.subplots(figsize=(8, 0.9 + 0.21 * len(pairs)))
    lines = range(len(pairs))[::-1]
    ax.hlines(lines, pairs["smallest"], pairs["largest"], color=CURVE_COLOURS[3], linewidth=2)
    ax.plot(pairs["seed 1"], lines, "s", color=CURVE_COLOURS[0], markersize=4.5)
    for label, p in limits.items():
        ax.axvline(p, color="0.3", linewidth=1, linestyle=":")
        ax.annotate(label, (p, 1), (3, 0), ("data", "axes fraction"), "offset points", size=8)
    ax.set(xscale="log", yticks=lines, yticklabels=pairs.index, xlabel="p")
    ax.tick_params(axis="y", labelsize=8)
    ax.margins(y=0.02)
    return figure


@styled
def plot_coins(coins, heads):
    """How probable it is that k of n digits are wrong in the first of two equal networks.

    Args:
        coins: n, the digits that exactly one of the two gets wrong.
        heads: how many of them the first gets wrong; what is at least as uneven is dark.
    """
    figure, ax = plt.subplots(figsize=(8, 3))
    numbers = range(coins + 1)
    uneven = [abs(2 * k - coins) >= abs(2 * heads - coins) for k in numbers]
    colours = [CURVE_COLOURS[0] if dark else "0.8" for dark in uneven]
    ax.bar(numbers, [comb(coins, k) / 2**coins for k in numbers], color=colours)
    xlabel = f"of the {coins} digits on which they differ: mistakes of the first network"
    ax.set(xlabel=xlabel, ylabel="probability")
    ax.set_xlim(coins / 2 - 2.5 * coins**0.5, coins / 2 + 2.5 * coins**0.5)  # ± 5 sd
    ax.annotate("observed", (heads, 0), (0, 14), textcoords="offset points", ha="center", size=9)
    ax.grid(False, axis="x")
    return figure
