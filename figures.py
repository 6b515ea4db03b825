"""The figures of lesson 1, and the style of all figures and tables.

Lesson 1 draws its network from the equations of `backprop.py`. The figures of lesson 2 are
in `digit_figures.py`, those that compare runs in `experiments/plots.py`.

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
from matplotlib.colors import LogNorm

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
    bp.h1: (2.6, 1), bp.h2: (2.6, -1), bp.a_h1: (3.9, 1), bp.a_h2: (3.9, -1),
    bp.o1: (6.7, 1), bp.o2: (6.7, -1), bp.a_o1: (8, 1), bp.a_o2: (8, -1),
    bp.t1: (8, 2.3), bp.t2: (8, -2.3), bp.E1: (9.4, 1), bp.E2: (9.4, -1), bp.E_total: (10.6, 0),
}  # fmt: skip
FORWARD, BACKWARD = "0.45", "#B2182B"  # the colours of what flows each way


def _edges():
    """Yield (from, to, weight or None) for every arrow of the network."""
    for quantity, equation in bp.EQUATIONS.items():
        for source in _POSITIONS:
            if equation.has(source):
                terms = [term for term in equation.args if term.has(source)]
                weight = next((w for w in bp.WEIGHTS if terms[0].has(w)), None)
                yield source, quantity, weight


def _between(source, goal, share):
    """The point that lies this share of the way from one node to another."""
    start, end = np.array(_POSITIONS[source]), np.array(_POSITIONS[goal])
    return start + (end - start) * share


def _label(axes, place, text, colour="black", size=8.5):
    """Write on a line, so that the line does not cross the letters."""
    box = {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none"}
    axes.text(*place, text, ha="center", va="center", size=size, color=colour, bbox=box, zorder=2)


def _arrow(axes, source, goal, style, **line):
    ends = (_POSITIONS[goal], _POSITIONS[source])
    line = {"arrowstyle": style, "shrinkA": 21, "shrinkB": 21} | line
    axes.annotate("", *ends, arrowprops=line, zorder=1)


def _draw_nodes(axes, values=None):
    """Draw a circle a quantity, its name in it, and its value below the name."""
    for symbol, place in _POSITIONS.items():
        fill = ROLE_COLOURS[bp.ROLES[str(symbol)]]
        axes.scatter(*place, s=1750, color=fill, edgecolor="0.3", zorder=3)
        label = f"${bp.latex_name(str(symbol))}$"
        label += "" if values is None else f"\n{values[str(symbol)]:.4f}"
        axes.text(*place, label, ha="center", va="center", size=8.5, zorder=4)
    axes.set(xlim=(-0.5, 11.1), ylim=(-2.9, 2.9))
    axes.axis("off")


@styled
def draw_network(weights=None, title="", axes=None, values=None):
    """Draw the network of `EQUATIONS`: what flows forward.

    Args:
        weights: a dict or a row of `gradient_descent`, name → number, to write on the
            arrows: w5 = 0.4; without it only the names stand there.
        axes: where to draw; None makes a figure.
        values: a row of `gradient_descent`, to write the values into the circles.

    Returns:
        The matplotlib Figure.
    """
    if axes is None:
        _, axes = plt.subplots(figsize=(11, 4.6))
    for source, goal, weight in _edges():
        _arrow(axes, source, goal, "-|>", color=FORWARD, lw=1.3)
        if weight is not None:
            text = f"${bp.latex_name(str(weight))}$"
            text += "" if weights is None else f" = {weights[str(weight)]:.2f}"
            _label(axes, _between(source, goal, 0.34), text)
        elif goal in bp.SIGMOIDS:
            axes.text(*(_between(source, goal, 0.5) + (0, 0.25)), "σ", ha="center", size=9)
    _draw_nodes(axes, values)
    axes.set_title(title)
    return axes.figure


@styled
def draw_gradients(row, title="", hidden=()):
    """Draw what flows back at one row of `gradient_descent`.

    In a circle is the value that flows forward, above or below it the derivative of E with
    respect to this quantity: δ for a weighted sum. On an arrow with a weight are ∂E/∂w and,
    where it ends on the left, what it brings back: δ of the neuron on the right times w.
    What several arrows bring to one circle is added there. Nobody moves a target or an
    input, so no arrow goes back to them.

    Args:
        hidden: symbols whose derivative is shown as a question mark.

    Returns:
        The matplotlib Figure.
    """
    figure, axes = plt.subplots(figsize=(12, 5.4))
    numbers, slope = _numbers_and_slopes(row)
    given = (*bp.INPUTS, *bp.TARGETS)
    for source, goal, weight in _edges():
        if source in bp.TARGETS:
            continue
        style = "-" if source in given else "<|-"
        _arrow(axes, source, goal, style, color=BACKWARD, lw=1.4, alpha=0.75)
        if weight is not None:
            text = rf"$\partial E/\partial {bp.latex_name(str(weight))}$ = "
            text += "?" if weight in hidden else f"{slope[weight]:.6f}"
            _label(axes, _between(source, goal, 0.66), text, BACKWARD, 8)
            if source not in given:
                part = f"{slope[goal] * numbers[weight]:.6f}"
                _label(axes, _between(source, goal, 0.26), part, BACKWARD)
    for symbol in (*bp.SIGMOIDS, *bp.SIGMOIDS.values()):
        x, y = _POSITIONS[symbol]
        name = rf"\partial E/\partial {bp.latex_name(str(symbol))}"
        if symbol in bp.SIGMOIDS.values():
            name = bp.latex_name(str(bp.delta(symbol)))
        text = "?" if symbol in hidden else _sum_of_parts(symbol, slope, numbers)
        parts = " + " in text  # on a line of their own
        place = (x, y + (0.72 + 0.1 * parts) * (1 if y > 0 else -1))
        separator = "\n" if parts else " "
        text = f"${name}$ ={separator}{text}"
        axes.text(*place, text, ha="center", va="center", size=8.5, color=BACKWARD)
    _draw_nodes(axes, row)
    axes.set_title(title)
    return figure


def _numbers_and_slopes(row):
    """The value of each quantity in a row, and the derivative of E with respect to it."""
    numbers = {symbol: row[str(symbol)] for symbol in (*bp.GIVEN, *bp.EQUATIONS)}
    slope = {s: float(bp.gradient(s).xreplace(numbers)) for s in (*bp.EQUATIONS, *bp.WEIGHTS)}
    return numbers, slope


def _sum_of_parts(symbol, slope, numbers):
    """What the arrows bring back to a quantity, and the sum: 0.010165 + 0.015199 = 0.025364."""
    parts = [slope[user] * numbers[w] for source, user, w in _edges() if source == symbol and w]
    added = " + ".join(f"{part:.6f}" for part in parts) + "\n= " if parts else ""
    return added + ("1" if slope[symbol] == 1 else f"{slope[symbol]:.6f}")


@styled
def draw_walk(row, weight):
    """Draw the walk from E back to one weight of the hidden layer, a factor a panel.

    Args:
        row: a row of `gradient_descent`.
        weight: a symbol, w1 to w4.

    Returns:
        The matplotlib Figure.
    """
    numbers, slope = _numbers_and_slopes(row)
    ways = bp.paths(weight)
    stations = [list(dict.fromkeys(station)) for station in zip(*(way[-2::-1] for way in ways))]
    middle_of_arrow = next(_between(s, g, 0.5) for s, g, w in _edges() if w == weight)
    figure, grid = plt.subplots(2, 3, figsize=(13, 6.4))
    for count, (axes, station) in enumerate(zip(grid.flat, stations), start=1):
        seen = {symbol for step in stations[:count] for symbol in step} | {bp.E_total}
        for source, goal, w in _edges():
            if source in bp.TARGETS:
                continue
            walked = goal in seen and (source in seen or w in seen)
            line = {"color": BACKWARD, "lw": 2.2} if walked else {"color": "0.8", "lw": 1}
            _arrow(axes, source, goal, "-", shrinkA=8, shrinkB=8, **line)
        for symbol, (x, y) in _POSITIONS.items():
            if symbol in bp.TARGETS:
                continue
            axes.scatter(x, y, s=60, color=BACKWARD if symbol in seen else "0.8", zorder=3)
        for symbol in station:
            x, y = middle_of_arrow if symbol == weight else _POSITIONS[symbol]
            text = f"${bp.latex_name(str(symbol))}$: {_sum_of_parts(symbol, slope, numbers)}"
            place = (x, y + (0.55 if y > 0 else -0.55))
            axes.text(*place, text, ha="center", va="center", size=9, weight="bold")
        axes.set(xlim=(-0.6, 11), ylim=(-1.9, 1.9))
        axes.set_title(f"{count}.  {_factors(station, ways, numbers)}", fontsize=10)
        axes.axis("off")
    return figure


def _factors(station, ways, numbers):
    """What is multiplied at one station of the walk: "× ∂a_o1/∂o1 = 0.2387", one a path."""
    steps = dict.fromkeys(
        (way[k + 1], way[k]) for way in ways for k in range(len(way) - 1) if way[k] in station
    )
    texts = []
    for quantity, variable in steps:
        above, below = bp.latex_name(str(quantity)), bp.latex_name(str(variable))
        factor = float(bp.local_derivative(quantity, variable).xreplace(numbers))
        texts.append(rf"$\times\ \partial {above}/\partial {below}$ = {factor:.4f}")
    return "\n".join(texts) + (", then add" if len(station) < len(steps) else "")


@styled
def plot_sigmoid():
    """The sigmoid with its tangent at three points, and below it the slope."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 5), sharex=True)
    h = np.linspace(-6, 6, 241)
    a = 1 / (1 + np.exp(-h))
    above.plot(h, a, color=CURVE_COLOURS[0])
    below.plot(h, a * (1 - a), color=CURVE_COLOURS[0])
    for x in (-4, 0, 1.5):
        y = 1 / (1 + np.exp(-x))
        slope = y * (1 - y)
        near = np.array([x - 1, x + 1])
        above.plot(near, y + slope * (near - x), color=BACKWARD, linestyle="-")
        above.annotate(
            f"slope {slope:.3f}", (x, y), (12, 12 if y < 0.1 else -14), textcoords="offset points"
        )
        below.plot(x, slope, "o", color=BACKWARD)
    above.set(ylabel="a = σ(h)", xlim=(-6.5, 6.5))
    below.set(ylabel="slope", xlabel="weighted sum h")
    return figure


@styled
def plot_loss_surface(runs, learning_rates):
    """The loss over w5 and w7, and the paths of some trainings on it.

    Gradient descent moves w6 in a fixed ratio to w5, and w8 to w7, because a_h1 and a_h2
    hardly change; on the surface they move along in that ratio.

    Args:
        runs: DataFrames of `gradient_descent` from the same start.
        learning_rates: η of each run.
    """
    first = runs[0].iloc[0]
    ratio = first["a_h2"] / first["a_h1"]
    low, high = -1.6, 1.2
    w5, w7 = np.meshgrid(np.linspace(low, high, 141), np.linspace(low, high, 141))
    given = {symbol: first[str(symbol)] for symbol in bp.GIVEN} | {bp.w5: w5, bp.w7: w7}
    given[bp.w6] = first["w6"] + ratio * (w5 - first["w5"])
    given[bp.w8] = first["w8"] + ratio * (w7 - first["w7"])
    loss = bp.spreadsheet_row(given)[bp.E_total]
    levels = np.geomspace(1e-5, loss.max(), 13)
    light = LogNorm(levels[0], 100 * levels[-1])
    figure, grid = plt.subplots(1, len(runs), figsize=(12, 4.2), sharey=True)
    for axes, run, rate in zip(grid, runs, learning_rates):
        filled = axes.contourf(w5, w7, loss, levels, cmap="Blues", norm=light, extend="min")
        axes.plot(run["w5"], run["w7"], "o-", color=BACKWARD, markersize=4, linewidth=1)
        axes.plot(first["w5"], first["w7"], "s", color="black", markersize=7)
        axes.set(title=f"η = {rate}", xlabel="w5", xlim=(low, high), ylim=(low, high))
        axes.grid(False)
    grid[0].set_ylabel("w7")
    ticks = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    figure.colorbar(filled, ax=grid, ticks=ticks, label="loss E", format=lambda x, _: f"{x:.0e}")
    return figure


def with_sliders(draw, **sliders):
    """Show sliders and the figure that `draw` makes of their values; redraw it when one moves.

    Without a running kernel the figure of the first values stays. Works with ipywidgets 7
    (Colab) and 8.

    Args:
        draw: a function of the sliders' values, by name; it returns a Figure.
        sliders: ipywidgets, by the name of draw's argument.
    """
    from IPython.display import display

    def picture():
        figure = draw(**{name: slider.value for name, slider in sliders.items()})
        plt.close(figure)
        return figure

    for slider in sliders.values():
        display(slider)
    shown = display(picture(), display_id=True)
    for slider in sliders.values():
        slider.observe(lambda change: shown.update(picture()), names="value")


@styled
def draw_training(learning_rate, **weights):
    """The network's values at epoch 0, and the loss of a hundred epochs, for some settings.

    Args:
        learning_rate: η.
        weights: other values than the lesson's, by name: w5=-0.5.

    Returns:
        The matplotlib Figure.
    """
    values = {w.name: value for w, value in zip(bp.WEIGHTS, bp.WEIGHT_VALUES)} | weights
    run = bp.gradient_descent(weights=[*values.values()], learning_rate=learning_rate)
    figure, (left, right) = plt.subplots(1, 2, figsize=(15, 4.6), width_ratios=(2.4, 1))
    draw_network(weights=run.iloc[0], values=run.iloc[0], axes=left, title="epoch 0")
    right.plot(run["epoch"], run["E_total"], color=CURVE_COLOURS[0])
    right.set(xlabel="epoch", ylabel="loss E", yscale="log", ylim=(1e-12, 1))
    right.set_title(f"η = {learning_rate:.3g}, E at the end {run['E_total'].iloc[-1]:.2g}")
    return figure


@styled
def plot_relative_errors(errors, limit=1e-5):
    """How far gradients are off, as a share of the true value: a panel a column.

    Args:
        errors: a DataFrame of |formula / truth − 1|, an index of gradients.
        limit: where the dotted line is drawn, above which a formula is called wrong.
    """
    figure, grid = plt.subplots(1, len(errors.columns), figsize=(12, 3.6), sharey=True)
    for axes, name in zip(grid, errors):
        colours = [CURVE_COLOURS[0] if error < limit else BACKWARD for error in errors[name]]
        axes.bar([text.split("/∂")[1] for text in errors.index], errors[name], color=colours)
        axes.axhline(limit, color="0.4", linestyle=":")
        axes.set(title=name, yscale="log", ylim=(1e-12, 1e3), xlabel="gradient of weight")
    grid[0].set_ylabel("relative error")
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


def draw_images(folder=IMAGES):
    """Draw lesson 1's pictures, which README and the workbook show; return their paths."""
    pictures = {
        "network": draw_network(),
        "gradients": draw_gradients(bp.gradient_descent(epochs=1).iloc[0]),
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
