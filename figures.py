"""The figures of both lessons, and the style of their tables.

Lesson 1 draws its network from the equations of `backprop.py`. The figures of lesson 2
take tensors and DataFrames; they load no network and read no data file.

    python figures.py        draw lesson 1's pictures into images/

Notebooks say `plt.style.use(figures.STYLE)` once, for the figures that they draw themselves.
"""

import argparse
import functools
from pathlib import Path
from zlib import crc32

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import backprop as bp
from files import replacing

IMAGES = Path(__file__).parent / "images"

# From dark to light, so that the order of curves survives a black-and-white printer.
CURVE_COLOURS = ("#0d0887", "#6100a7", "#a01a9c", "#cf4c74", "#ed7953", "#f2a93b")
CURVE_DASHES = ("-", "--", "-.", ":", "-", "--")
STYLE = {
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "axes.prop_cycle": plt.cycler(color=CURVE_COLOURS, linestyle=CURVE_DASHES),
}
# The colour of a quantity by its role (`backprop.ROLES`), in pictures and in the workbook.
ROLE_COLOURS = {
    "epoch": "#E7E6E6",
    "target": "#E4DFEC",
    "input": "#D0F0F0",
    "weight": "#DDEBF7",
    "forward": "#E2EFDA",
    "loss": "#D9D9D9",
    "gradient": "#FCE4D6",
}


def styled(function):
    """Make a function draw in the one style, whatever the caller has set."""

    @functools.wraps(function)
    def draw(*args, **kwargs):
        with plt.style.context(STYLE):
            return function(*args, **kwargs)

    return draw


def save(figure, path, dpi="figure"):
    """Write a figure as PNG, whole or not at all, without the name of the program in it."""
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None})


def show_table(frame, numbers="{:.6f}"):
    """Show a DataFrame in a notebook: text to the left, numbers in one format.

    Unlike a bare Styler, its HTML is the same in every run, so that nbval can compare it.
    """
    from IPython.display import HTML

    text = [column for column in frame if not pd.api.types.is_numeric_dtype(frame[column])]
    left = [{"selector": "th, td", "props": "text-align: left"}]
    decimals = {column: numbers for column in frame if frame[column].dtype.kind == "f"}
    identity = format(crc32(repr((*frame.index, *frame.columns)).encode()), "08x")
    style = frame.style.set_uuid(identity).format(decimals)
    return HTML(style.set_table_styles({column: left for column in text}).to_html())


# --- Lesson 1 ----------------------------------------------------------------------

_POSITIONS = {
    bp.i1: (0, 1), bp.i2: (0, -1),
    bp.h1: (1.7, 1), bp.h2: (1.7, -1), bp.a_h1: (2.7, 1), bp.a_h2: (2.7, -1),
    bp.o1: (4.4, 1), bp.o2: (4.4, -1), bp.a_o1: (5.4, 1), bp.a_o2: (5.4, -1),
    bp.t1: (5.4, 2), bp.t2: (5.4, -2), bp.E1: (6.7, 1), bp.E2: (6.7, -1), bp.E_total: (7.8, 0),
}  # fmt: skip


def _edges():
    """Yield (from, to, weight or None) for every arrow of the network."""
    for quantity, equation in bp.EQUATIONS.items():
        for source in _POSITIONS:
            if equation.has(source):
                terms = [term for term in equation.args if term.has(source)]
                weight = next((w for w in bp.WEIGHTS if terms[0].has(w)), None)
                yield source, quantity, weight


@styled
def draw_network(values=None, weights=None, title=""):
    """Draw the network of `EQUATIONS`.

    Args:
        values: one row of `gradient_descent`. With it, a node shows the value that
            flows forward, and an arrow the gradient that flows back along it: ∂E/∂w
            where the edge has a weight, else the derivative of E with respect to the
            quantity that the arrow points to. Wider and darker means larger (logarithmic).
        weights: 8 numbers to write on the edges when there are no values.

    Returns:
        The matplotlib Figure.
    """
    if values is None:
        texts = {w: str(w) if weights is None else f"{w} = {weights[k]:g}"
                 for k, w in enumerate(bp.WEIGHTS)}  # fmt: skip
    else:
        numbers = {symbol: values[str(symbol)] for symbol in (*_POSITIONS, *bp.WEIGHTS)}
    figure, axes = plt.subplots(figsize=(11, 4.8))
    for source, goal, weight in _edges():
        start, end = np.array(_POSITIONS[source]), np.array(_POSITIONS[goal])
        if values is None:
            arrow, colour, width = "-|>", "0.4", 1.3
            label = "σ" if goal in bp.SIGMOIDS else texts.get(weight, "")
        else:
            slope = float(bp.gradient(weight or source).xreplace(numbers))
            size = np.clip(np.log10(abs(slope) + 1e-99) / 5 + 1, 0, 1)  # 1e-5 … 1
            arrow, colour, width = "<|-", plt.cm.Reds(0.25 + 0.7 * size), 0.8 + 4.2 * size
            label = f"∂E/∂{weight}\n{slope:.3g}" if weight else f"{slope:.3g}"
        props = dict(arrowstyle=arrow, color=colour, lw=width, shrinkA=20, shrinkB=20)
        axes.annotate("", end, start, arrowprops=props, zorder=1)
        # A weight stands on its edge, near the arrow's tail, where the edges do not cross.
        tail = 0.34 if values is None else 0.66
        x, y = start + (end - start) * (tail if weight else 0.5) + (0, 0 if weight else 0.22)
        box = dict(boxstyle="round,pad=0.15", fc="white", ec="none") if weight else None
        axes.text(x, y, label, ha="center", va="center", size=9, bbox=box, zorder=2)
    for symbol, (x, y) in _POSITIONS.items():
        fill = ROLE_COLOURS[bp.ROLES[str(symbol)]]
        axes.scatter(x, y, s=1650, color=fill, edgecolor="0.3", zorder=3)
        label = f"${bp.latex_name(str(symbol))}$"
        label += "" if values is None else f"\n{numbers[symbol]:.3g}"
        axes.text(x, y, label, ha="center", va="center", size=9, zorder=4)
    axes.set(xlim=(-0.5, 8.3), ylim=(-2.5, 2.5), title=title)
    axes.axis("off")
    return figure


@styled
def plot_loss_curves(curves, title=""):
    """Draw one loss curve a column, on a linear and on a logarithmic axis.

    Args:
        curves: a DataFrame, index epoch, a column a learning rate, E_total as values.

    Returns:
        The matplotlib Figure.
    """
    figure, (linear, logarithmic) = plt.subplots(1, 2, figsize=(11, 4))
    curves.plot(ax=linear, ylabel="loss E", title="linear axis", legend=False)
    curves.plot(ax=logarithmic, logy=True, title="logarithmic axis", legend=False)
    figure.legend(*linear.get_legend_handles_labels(), title="η", loc="outside right center")
    figure.suptitle(title)
    return figure


# --- Lesson 2 ----------------------------------------------------------------------
# Each plot_… returns the matplotlib Figure. A dataset is a TensorDataset of uint8 images
# (N, 28, 28) and labels (N,).


def _grid(images, titles, columns, size=1.1, colours=None):
    """Draw images in rows of `columns`, each `size` inches wide, with or without titles."""
    rows = -(-len(images) // columns)
    height = size + (0.25 if titles else 0)
    figure, axes = plt.subplots(rows, columns, figsize=(columns * size, rows * height))
    for ax in np.ravel(axes):
        ax.axis("off")
    for k, (ax, image) in enumerate(zip(np.ravel(axes), images)):
        ax.imshow(image, cmap="gray_r")
        if titles:
            colour = colours[k] if colours else "black"
            ax.set_title(titles[k], fontsize=8, fontweight="normal", color=colour)
    return figure


@styled
def plot_digits(dataset, indices, columns=12):
    """Show the images at `indices`, each under its label."""
    images, labels = dataset.tensors
    return _grid([images[i] for i in indices], [str(int(labels[i])) for i in indices], columns)


@styled
def plot_augmented(dataset, indices, transform, times=11):
    """Show each image at `indices` in a row: as it is, then `times` random versions."""
    rows = []
    for i in indices:
        image = dataset.tensors[0][i].float().view(1, 1, 28, 28) / 255
        rows += [image[0, 0], *transform(image.expand(times, 1, 28, 28))[:, 0]]
    figure = _grid(rows, None, times + 1)
    figure.suptitle("the original, then eleven random versions" if times == 11 else "")
    return figure


@styled
def plot_classes(train_set, test_set):
    """Show how many examples of each digit the two sets have, as shares of the set."""
    figure, ax = plt.subplots(figsize=(8, 3))
    for k, (name, dataset) in enumerate((("train", train_set), ("test", test_set))):
        share = np.bincount(dataset.tensors[1], minlength=10) / len(dataset)
        ax.bar(
            np.arange(10) + 0.4 * k - 0.2, share * 100, 0.38, label=name, color=CURVE_COLOURS[3 * k]
        )
    ax.set(xlabel="digit", ylabel="share of the set (%)", xticks=range(10))
    figure.legend(loc="outside right center")
    return figure


@styled
def plot_history(history):
    """Loss and accuracy by epoch, for training (augmented images) and test.

    Args:
        history: the DataFrame that `utils.fit` returns.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    for k, part in enumerate(("train", "test")):
        line = {
            "label": part,
            "color": CURVE_COLOURS[3 * k],
            "linestyle": ("-", "--")[k],
            "marker": "os"[k],
        }
        left.plot(history.index, history[f"{part}_loss"], markersize=4, **line)
        right.plot(history.index, history[f"{part}_accuracy"] * 100, markersize=4, **line)
    left.set(xlabel="epoch", ylabel="cross-entropy loss", yscale="log", title="loss")
    right.set(xlabel="epoch", ylabel="accuracy (%)", ylim=(97, 100), title="accuracy")
    right.axhline(99.4, color="0.5", linewidth=1, linestyle=":")
    for ax in (left, right):
        ax.xaxis.get_major_locator().set_params(integer=True)
    right.legend(loc="lower right")
    return figure


@styled
def plot_confusion(labels, predictions):
    """The confusion matrix: one row per label, one column per prediction; mistakes are shaded.

    Args:
        labels, predictions: int64 tensors (N,), digits 0 to 9.
    """
    matrix = np.bincount(labels * 10 + predictions, minlength=100).reshape(10, 10)
    mistakes = matrix * (1 - np.eye(10, dtype=int))
    figure, ax = plt.subplots(figsize=(6, 5.4))
    ax.imshow(mistakes, cmap="Reds", vmax=max(mistakes.max(), 1))
    for row in range(10):
        for column in range(10):
            if count := matrix[row, column]:
                dark = mistakes[row, column] > 0.6 * mistakes.max()
                colour = "white" if dark and row != column else "black"
                ax.text(column, row, count, ha="center", va="center", fontsize=8, color=colour)
    ax.set(xlabel="predicted", ylabel="label", xticks=range(10), yticks=range(10))
    ax.grid(False)
    return figure


@styled
def plot_mistakes(dataset, logits, marked=(), panels=60, columns=12):
    """Show the mistakes: label, prediction, and how sure the network was.

    Args:
        dataset: a TensorDataset of images (N, 28, 28) and labels (N,).
        logits: the network's outputs for these images, (N, 10).
        marked: indices whose label is known to be wrong; their titles are blue and starred.
        panels: how many pictures the figure has room for. The mistakes of which the network
            was surest come first; what is left stays empty, so that the size is always the same.
    """
    images, labels = dataset.tensors
    sure, predicted = logits.softmax(1).max(1)
    wrong = (predicted != labels).nonzero().ravel()
    wrong = wrong[sure[wrong].argsort(descending=True)].tolist()[:panels]
    titles = [
        f"{'* ' if i in marked else ''}{labels[i]} → {predicted[i]}\n{sure[i]:.0%}" for i in wrong
    ]
    colours = ["#0072B2" if i in marked else "black" for i in wrong]
    empty = panels - len(wrong)
    pictures = [images[i] for i in wrong] + [images[0] * 0] * empty
    return _grid(pictures, titles + [""] * empty, columns, 1.15, colours + ["black"] * empty)


@styled
def plot_filters(filters, columns=8):
    """Show the filters of a convolution, (N, height, width): blue is negative, red positive."""
    figure, axes = plt.subplots(-(-len(filters) // columns), columns, figsize=(8, 2.2))
    for ax in axes.flat:
        ax.axis("off")
    limit = abs(filters).max()
    for ax, kernel in zip(axes.flat, filters):
        ax.imshow(kernel, cmap="RdBu_r", vmin=-limit, vmax=limit)
    return figure


@styled
def plot_channels(maps, columns=8):
    """Show a layer's output for one image, a picture per channel: (channels, height, width)."""
    return _grid(list(maps), None, columns, 1.0)


# --- Comparing runs ----------------------------------------------------------------


@styled
def plot_comparison(summary, published):
    """Accuracy after the last epoch, mean ± standard deviation, from few to many parameters.

    On a scale of parameters, networks of nearly the same size would overlap. So they are
    placed at equal distances, ordered by their number of parameters.

    Args:
        summary: what `summarise` in experiments/results.py returns.
        published: a Series, network → the accuracy in percent that was published.
    """
    figure, ax = plt.subplots(figsize=(8, 4.5))
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
    """Differences as points with error bars, a line a row, and a line at zero.

    Args:
        differences: a DataFrame with the columns mean and sd, indexed by name.
    """
    figure, ax = plt.subplots(figsize=(8, 0.6 + 0.4 * len(differences)))
    lines = range(len(differences))[::-1]  # the first row at the top
    ax.errorbar(
        differences["mean"],
        lines,
        xerr=differences["sd"],
        color=CURVE_COLOURS[0],
        fmt="s",
        capsize=3,
    )
    ax.axvline(0, color="0.5", linewidth=1)
    ax.set(yticks=lines, yticklabels=differences.index, xlabel=xlabel)
    ax.margins(y=0.15)
    return figure


def draw_images(folder=IMAGES):
    """Draw lesson 1's pictures, which README and the workbook show; return their paths."""
    pictures = {
        "network": draw_network(),
        "gradients": draw_network(bp.gradient_descent(epochs=1).iloc[0]),
        "loss_curves": plot_loss_curves(bp.loss_curves()),
    }
    for name, figure in pictures.items():
        save(figure, folder / f"{name}.png")
    return [folder / f"{name}.png" for name in pictures]


def main(arguments=None):
    argparse.ArgumentParser(description="Draw lesson 1's pictures.").parse_args(arguments)
    for path in draw_images():
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
