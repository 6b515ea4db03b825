"""The figures of lesson 2, in the style of `figures.py`.

Each function takes tensors or DataFrames and returns the matplotlib Figure; none loads a
network or reads a data file. A dataset is a TensorDataset of uint8 images (N, 28, 28) and
labels (N,).
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import PowerNorm

from figures import BACKWARD, CURVE_COLOURS, CURVE_DASHES, ROLE_COLOURS, styled

# --- The data ----------------------------------------------------------------------


def _grid(images, titles, columns, size=1.1):
    """Draw images in rows of `columns`, each `size` inches wide, with or without titles."""
    rows = -(-len(images) // columns)
    height = size + (0.25 if titles else 0)
    figure, axes = plt.subplots(rows, columns, figsize=(columns * size, rows * height))
    for ax in np.ravel(axes):
        ax.axis("off")
    for k, (ax, image) in enumerate(zip(np.ravel(axes), images)):
        ax.imshow(image, cmap="gray_r")
        if titles:
            ax.set_title(titles[k], fontsize=8, fontweight="normal")
    return figure


@styled
def plot_digits(dataset, indices, columns=12):
    """Show the images at `indices`, each under its label."""
    images, labels = dataset.tensors
    return _grid([images[i] for i in indices], [str(int(labels[i])) for i in indices], columns)


@styled
def plot_augmented(dataset, indices, transform):
    """Show each image at `indices` in a row: as it is, then eleven random versions."""
    times = 11
    rows = []
    for i in indices:
        image = dataset.tensors[0][i].float().view(1, 1, 28, 28) / 255
        rows += [image[0, 0], *transform(image.expand(times, 1, 28, 28))[:, 0]]
    figure = _grid(rows, None, times + 1)
    figure.suptitle("the original, then eleven random versions")
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


# --- The bridge: one idea a figure -------------------------------------------------


@styled
def plot_agreement(agreement):
    """How well the gradient of a batch agrees with that of all images, by batch size.

    Args:
        agreement: a DataFrame, a column a batch size, a row a batch: the cosine of the
            angle between the two gradients.
    """
    figure, ax = plt.subplots(figsize=(8, 3.2))
    for column, size in enumerate(agreement):
        values = agreement[size]
        ax.plot([column] * len(values), values, "o", color=CURVE_COLOURS[3], alpha=0.25, ls="")
        ax.plot(column, values.mean(), "s", color=CURVE_COLOURS[0], markersize=8)
    ax.set(xticks=range(agreement.shape[1]), xticklabels=agreement.columns, ylim=(-0.2, 1.05))
    ax.set(xlabel="images in the batch", ylabel="cosine with the\ngradient of all images")
    ax.axhline(1, color="0.5", linewidth=1, linestyle=":")
    return figure


@styled
def plot_paths(paths, loss, levels):
    """The steps of gradient descent on the contours of a loss of two weights, a panel a path.

    Args:
        paths: name → a list of (w1, w2).
        loss: a function of two arrays.
        levels: the values of the loss at which to draw contours.
    """
    points = np.concatenate([np.array(path) for path in paths.values()])
    low, high = points.min(0) - 0.5, points.max(0) + 0.5
    x, y = np.meshgrid(np.linspace(low[0], high[0], 121), np.linspace(low[1], high[1], 121))
    figure, grid = plt.subplots(1, len(paths), figsize=(11, 3.2), sharey=True)
    for axes, (name, path) in zip(grid, paths.items()):
        axes.contour(x, y, loss(x, y), levels, colors="0.7", linewidths=0.8)
        axes.plot(*np.array(path).T, "o-", color=BACKWARD, markersize=3, linewidth=1)
        axes.plot(0, 0, "*", color="black", markersize=10)
        axes.set(title=name, xlabel="w1")
        axes.grid(False)
    grid[0].set_ylabel("w2")
    return figure


def _softmax(logits):
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


@styled
def plot_softmax(logits, target):
    """Ten logits, their softmax, and the gradient p − t, as bars over the digits.

    Args:
        logits: (10,).
        target: the digit that is right; its bar is red.
    """
    p = _softmax(logits)
    t = np.eye(10)[target]
    colours = [BACKWARD if digit == target else CURVE_COLOURS[0] for digit in range(10)]
    figure, grid = plt.subplots(1, 3, figsize=(11, 2.8))
    titles = ("logits z", "softmax p", "gradient δ = p − t")
    for axes, values, title in zip(grid, (logits, p, p - t), titles):
        axes.bar(range(10), values, color=colours)
        axes.axhline(0, color="0.3", linewidth=0.8)
        axes.set(title=title, xlabel="digit", xticks=range(10))
        axes.grid(False, axis="x")
    return figure


@styled
def plot_activations_and_slopes():
    """Sigmoid and ReLU, and below them their slopes."""
    x = np.linspace(-5, 5, 401)
    sigmoid = 1 / (1 + np.exp(-x))
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 4.4), sharex=True)
    for k, (name, value, slope) in enumerate(
        (
            ("sigmoid", sigmoid, sigmoid * (1 - sigmoid)),
            ("ReLU", np.maximum(x, 0), np.where(x > 0, 1.0, 0.0)),
        )
    ):
        line = {"label": name, "color": CURVE_COLOURS[3 * k], "linestyle": ("-", "--")[k]}
        above.plot(x, value, **line)
        below.plot(x, slope, **line)
    above.set(ylabel="activation", ylim=(-0.2, 3))
    below.set(ylabel="slope", xlabel="weighted sum", ylim=(-0.05, 1.1))
    above.legend(loc="upper left")
    return figure


def _write_numbers(axes, image, dark):
    """Write each value of a small image into its square, white where the square is dark."""
    for (row, column), value in np.ndenumerate(image):
        colour = "white" if abs(value) > dark else "black"
        text = {"ha": "center", "va": "center", "fontsize": 7, "color": colour}
        axes.text(column, row, f"{value:.0f}", **text)


@styled
def plot_windows(image, kernel, result, places):
    """A window at three places of a small image, and the map of sums that it leaves behind.

    Args:
        image: (H, W), values of 0 to 9.
        kernel: (k, k).
        result: (H − k + 1, W − k + 1).
        places: three (row, column) of the window's upper left corner.
    """
    image, kernel, result = (np.asarray(a, float) for a in (image, kernel, result))
    size = len(kernel)
    figure, (first, *grid) = plt.subplots(
        1, 5, figsize=(13, 3.1), width_ratios=(size, *[len(image)] * 3, len(result))
    )
    first.imshow(kernel, cmap="RdBu_r", vmin=-2, vmax=2)
    _write_numbers(first, kernel, dark=2)
    first.set_title("kernel")
    for axes, (row, column), style in zip(grid, places, ("-", "--", ":")):
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=9)
        _write_numbers(axes, image, dark=4)
        box = plt.Rectangle((column - 0.5, row - 0.5), size, size, fill=False, lw=3, ls=style)
        box.set_edgecolor(BACKWARD)
        axes.add_patch(box)
        axes.set_title(f"window at row {row}, column {column}:\nsum {result[row, column]:.0f}")
        last = plt.Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, lw=2.5, ls=style)
        last.set_edgecolor("black")
        grid[3].add_patch(last)
    limit = abs(result).max()
    grid[3].imshow(result, cmap="RdBu_r", vmin=-limit, vmax=limit)
    _write_numbers(grid[3], result, dark=0.6 * limit)
    grid[3].set_title("all sums: the map")
    for axes in (first, *grid):
        rows, columns = axes.images[0].get_size()
        axes.set(xticks=range(columns), yticks=range(rows))
        axes.tick_params(labelsize=6, length=0)
        axes.grid(False)
    first.set(xticks=[], yticks=[])
    return figure


@styled
def plot_pooling(before, after):
    """A map in blocks of 2×2, and beside it the largest of each block.

    Args:
        before: (2H, 2W).
        after: (H, W).
    """
    before, after = (np.asarray(a, float) for a in (before, after))
    figure, grid = plt.subplots(1, 2, figsize=(8, 3.8))
    limit = max(abs(before).max(), abs(after).max())
    for axes, values, title in zip(grid, (before, after), ("before", "the largest of each 2×2")):
        axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
        _write_numbers(axes, values, dark=0.6 * limit)
        axes.set(title=title, xticks=[], yticks=[])
        axes.grid(False)
    for line in range(0, len(before) + 1, 2):
        grid[0].axhline(line - 0.5, color="black", linewidth=1.2)
    for line in range(0, before.shape[1] + 1, 2):
        grid[0].axvline(line - 0.5, color="black", linewidth=1.2)
    return figure


@styled
def plot_distributions(values):
    """Histograms of one layer's values, a panel a name, on one scale.

    Args:
        values: name → (channels, …): the values of some channels.
    """
    figure, grid = plt.subplots(1, len(values), figsize=(12, 3), sharex=True, sharey=True)
    span = np.concatenate([np.ravel(v) for v in values.values()])
    bins = np.linspace(*np.quantile(span, [0.002, 0.998]), 61)
    for axes, (name, channels) in zip(grid, values.items()):
        for k, channel in enumerate(channels):
            style = {"color": CURVE_COLOURS[4 * k % 6], "linestyle": CURVE_DASHES[k]}
            axes.hist(
                np.ravel(channel),
                bins,
                density=True,
                histtype="step",
                label=f"channel {k}",
                **style,
            )
        axes.set(title=name, xlabel="value")
    grid[0].set_ylabel("density")
    grid[-1].legend()
    return figure


# --- The network -------------------------------------------------------------------


def _blocks(layers):
    """Gather the layers that make one map: (texts, size of the output, parameters) each."""
    names = {
        "MaxPool2d": "2×2 max pool",
        "AdaptiveAvgPool2d": "global average",
        "Linear": "fully connected",
        "BatchNorm2d": "batch norm",
    }
    blocks = [(["image"], "1×28×28", 0)]
    for row in layers.iloc[:-1].itertuples():
        name = names.get(row.layer, row.layer)
        if row.layer == "Conv2d":
            name = f"{row.kernel} convolution"
        if row.layer in ("Conv2d", "MaxPool2d", "AdaptiveAvgPool2d", "Linear"):
            blocks.append(([name], row.output, row.parameters))
        elif row.layer != "Flatten":
            texts, _, parameters = blocks[-1]
            blocks[-1] = ([*texts, name], row.output, parameters + row.parameters)
    return blocks


@styled
def draw_blocks(layers):
    """The network as blocks from left to right: the maps, and below them what makes them.

    A block's height shows the side of its maps, its width the number of channels.

    Args:
        layers: the DataFrame of `model.summary`.
    """
    figure, axes = plt.subplots(figsize=(13, 3.4))
    edge = 0.0  # where the block before ended
    for k, (texts, size, parameters) in enumerate(_blocks(layers)):
        channels, side, *_ = (*map(int, str(size).split("×")), 1)
        height, width, x = 0.35 + side / 12, 0.12 + channels / 45, 1.5 * k
        fill = ROLE_COLOURS["input" if not k else "weight" if parameters else "forward"]
        box = plt.Rectangle((x - width / 2, -height / 2), width, height, facecolor=fill)
        box.set_edgecolor("0.3")
        axes.add_patch(box)
        axes.text(x, height / 2 + 0.1, size, ha="center", va="bottom", fontsize=9)
        count = [f"{parameters:,} parameters"] if parameters else []
        axes.text(x, -1.6, "\n".join(texts + count), ha="center", va="top", fontsize=8)
        if k:
            arrow = {"arrowstyle": "-|>", "color": "0.45"}
            axes.annotate("", (x - width / 2 - 0.04, 0), (edge + 0.04, 0), arrowprops=arrow)
        edge = x + width / 2
    axes.set(xlim=(-0.8, x + 0.8), ylim=(-2.7, 1.8))
    axes.axis("off")
    return figure


@styled
def plot_receptive_fields(image, fields):
    """Squares on a digit: what one value in the middle of each layer's map sees.

    Args:
        image: (28, 28).
        fields: name → width of the receptive field in pixels.
    """
    figure, grid = plt.subplots(1, len(fields), figsize=(2.2 * len(fields), 2.6))
    for axes, (name, width) in zip(grid, fields.items()):
        axes.imshow(image, cmap="gray_r")
        start = 13.5 - width / 2
        box = plt.Rectangle((start, start), width, width, fill=False, lw=2.5)
        box.set_edgecolor(BACKWARD)
        axes.add_patch(box)
        axes.set(title=f"{name}\n{width}×{width}", xticks=[], yticks=[], xlim=(-0.5, 27.5))
        axes.set_ylim(27.5, -0.5)
        axes.grid(False)
    return figure


# --- Training and its results ------------------------------------------------------


@styled
def plot_history(history, rates):
    """Loss and accuracy by epoch, for training (distorted images) and test (clean images).

    Args:
        history: the DataFrame that `utils.fit` returns.
        rates: the learning rate of each step.
    """
    figure, grid = plt.subplots(2, 2, figsize=(11, 5.4), height_ratios=(3, 1), sharex="col")
    (left, right), below = grid
    for k, (part, label) in enumerate(
        (("train", "training, distorted images"), ("test", "test, clean images"))
    ):
        line = {"label": label, "color": CURVE_COLOURS[3 * k], "linestyle": ("-", "--")[k]}
        line |= {"marker": "os"[k], "markersize": 4}
        left.plot(history.index, history[f"{part}_loss"], **line)
        right.plot(history.index, history[f"{part}_accuracy"] * 100, **line)
    left.set(ylabel="cross-entropy loss", yscale="log", title="loss")
    right.set(ylabel="accuracy (%)", ylim=(97, 100), title="accuracy")
    right.axhline(99.4, color="0.5", linewidth=1.2, linestyle=":", label="99.40 %")
    right.legend(loc="lower right")
    for axes in below:
        axes.plot(np.linspace(0, len(history), len(rates)), rates, color="0.3", linestyle="-")
        axes.set(xlabel="epoch", ylabel="learning\nrate", xticks=history.index)
    return figure


def _write_in_cells(ax, texts, shades, size):
    """Write texts, (row, column) → text, into a picture of shades; white where it is dark."""
    for (row, column), text in texts.items():
        colour = "white" if shades[row, column] > 0.6 * np.nanmax(shades) else "black"
        ax.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)


@styled
def plot_confusion(labels, predictions):
    """The confusion matrix: a row for each label, a column for each prediction.

    Mistakes are shaded, right digits are not.

    Args:
        labels, predictions: int64 tensors (N,), digits 0 to 9.
    """
    matrix = np.bincount(labels * 10 + predictions, minlength=100).reshape(10, 10)
    mistakes = matrix * (1 - np.eye(10, dtype=int))
    figure, ax = plt.subplots(figsize=(6.6, 5.4))
    shades = ax.imshow(mistakes, cmap="Reds", vmax=max(mistakes.max(), 1))
    counts = {place: count for place, count in np.ndenumerate(matrix) if count}
    _write_in_cells(ax, counts, mistakes, 8)
    ax.set(xlabel="what the network said", ylabel="what the label says")
    ax.set(xticks=range(10), yticks=range(10))
    ax.grid(False)
    figure.colorbar(shades, label="mistakes", shrink=0.8, format="%d")
    return figure


@styled
def plot_mistakes(dataset, logits, marked=(), columns=14):
    """Every mistake: label → prediction, and the probability that the network gave it.

    All pictures stand in one pair of axes, so that the output has the same form for any
    number of mistakes that needs more than one row. Those of which the network was surest
    come first.

    Args:
        dataset: a TensorDataset of images (N, 28, 28) and labels (N,).
        logits: the network's outputs for these images, (N, 10).
        marked: indices whose label is known to be wrong; their titles are blue and starred.
    """
    images, labels = dataset.tensors
    sure, predicted = logits.softmax(1).max(1)
    wrong = (predicted != labels).nonzero().ravel()
    wrong = wrong[sure[wrong].argsort(descending=True)].tolist()
    rows = max(1, -(-len(wrong) // columns))
    figure, axes = plt.subplots(figsize=(13.8, 5.6 if rows > 1 else 1.6))
    for k, i in enumerate(wrong):
        left, top = 34 * (k % columns), 46 * (k // columns)
        axes.imshow(images[i], cmap="gray_r", extent=(left, left + 28, top + 44, top + 16))
        star, colour = ("* ", "#0072B2") if i in marked else ("", "black")
        text = f"{star}{labels[i]} → {predicted[i]}\n{sure[i]:.0%}"
        axes.text(left + 14, top + 15, text, ha="center", va="bottom", fontsize=8, color=colour)
    axes.set(xlim=(-4, 34 * columns), ylim=(46 * rows + 2, -2))
    axes.axis("off")
    return figure


# --- What the network has learned --------------------------------------------------


@styled
def plot_filters_and_maps(image, filters, maps):
    """Each filter of the first convolution, and below it the map that it makes of one digit.

    All filters have one colour scale, and all maps have one: red is positive, blue is
    negative, white is zero.

    Args:
        image: (28, 28).
        filters: (channels, k, k).
        maps: (channels, H, W), the convolution's output.
    """
    half = len(filters) // 2
    figure, grid = plt.subplots(4, half + 1, figsize=(13, 6))
    for axes in grid.flat:
        axes.axis("off")
    grid[0, 0].imshow(image, cmap="gray_r")
    grid[0, 0].set_title("the digit", fontsize=9)
    largest_weight, largest_value = (abs(np.asarray(values)).max() for values in (filters, maps))
    for k, (kernel, values) in enumerate(zip(filters, maps)):
        row, column = 2 * (k // half), 1 + k % half
        colours = {"cmap": "RdBu_r", "vmin": -largest_weight, "vmax": largest_weight}
        weights = grid[row, column].imshow(kernel, **colours)
        grid[row, column].set_title(f"filter {k}", fontsize=9)
        colours |= {"vmin": -largest_value, "vmax": largest_value}
        shown = grid[row + 1, column].imshow(values, **colours)
        grid[row + 1, column].set_title(f"its map {k}", fontsize=9, fontweight="normal")
    figure.colorbar(weights, ax=grid, label="weight of a filter", shrink=0.6)
    figure.colorbar(shown, ax=grid, label="value of a map", shrink=0.6)
    return figure


@styled
def plot_layers(stages, channels=12):
    """One digit on its way through the network: some channels of each layer, a row a layer.

    All maps of all layers have one scale, from 0, white, to the largest value, dark. It is
    that of the square root, so that small values can be seen beside large ones.

    Args:
        stages: name → (channels, H, W), after each ReLU.
        channels: how many of each layer to show.
    """
    limit = max(float(values.max()) for values in stages.values())
    figure, grid = plt.subplots(len(stages), channels, figsize=(13, 1.15 * len(stages)))
    for row, (name, values) in zip(grid, stages.items()):
        for axes, channel in zip(row, values):
            shown = axes.imshow(channel, cmap="Blues", norm=PowerNorm(0.5, 0, limit))
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    figure.colorbar(shown, ax=grid, label="value after the ReLU", shrink=0.8)
    return figure


@styled
def plot_readings(images, readings, labels=None):
    """Pictures in rows, each below what the network read in it.

    Args:
        images: a list of rows: (name, (columns, 28, 28)).
        readings: for each row the digits that were read, (columns,).
        labels: the right digits of the columns; what was read wrongly is red then.
    """
    rows, columns = len(images), len(images[0][1])
    figure, grid = plt.subplots(
        rows, columns, figsize=(1 + 1.2 * columns, 1.6 * rows), squeeze=False
    )
    for row, (name, pictures), digits in zip(grid, images, readings):
        for k, (axes, picture, digit) in enumerate(zip(row, pictures, digits)):
            axes.imshow(picture, cmap="gray_r", vmin=0, vmax=255)
            wrong = labels is not None and int(digit) != int(labels[k])
            axes.set_title(f"read: {int(digit)}", fontsize=9, color=BACKWARD if wrong else "black")
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    return figure


@styled
def plot_soft_answers(image, logits, label, temperature=None):
    """A digit, and beside it two answers as bars: the label, and a network's, softened.

    Args:
        image: (28, 28).
        logits: (10,), the network's.
        label: the digit that is right.
        temperature: the logits are divided by it before the softmax; None for 1, without
            naming it.
    """
    p = _softmax(np.asarray(logits, dtype=float) / (temperature or 1))
    figure, grid = plt.subplots(1, 3, figsize=(10, 2.6), width_ratios=(1, 2, 2))
    grid[0].imshow(image, cmap="gray_r")
    grid[0].axis("off")
    at = "" if temperature is None else f" at T = {temperature:g}"
    titles = (f"the label: {label}", f"the teacher{at}")
    for axes, values, title in zip(grid[1:], (np.eye(10)[label], p), titles):
        axes.bar(range(10), values, color=CURVE_COLOURS[0])
        axes.set(title=title, xlabel="digit", xticks=range(10), ylim=(0, 1.12))
        axes.grid(False, axis="x")
        for digit, value in enumerate(values):
            if value >= 0.005:
                text = f"{value:.3f}" if value < 0.1 else f"{value:.2f}"
                axes.annotate(text, (digit, value), (0, 2), ha="center", size=7,
                              textcoords="offset points")  # fmt: skip
    grid[1].set_ylabel("probability")
    return figure


@styled
def plot_alike(answers):
    """What a network answers on average for each digit, as a table of colours.

    Args:
        answers: (10, 10), a row a digit: the mean of its softened answers. The digit itself
            is left white, because the others would all look like 0 beside it.
    """
    others = 100 * np.asarray(answers, dtype=float)
    np.fill_diagonal(others, np.nan)
    figure, axes = plt.subplots(figsize=(6, 5))
    shown = axes.imshow(others, cmap="Blues", vmin=0)
    percents = {place: f"{v:.1f}" for place, v in np.ndenumerate(others) if np.isfinite(v)}
    _write_in_cells(axes, percents, others, 7)
    axes.set(xticks=range(10), yticks=range(10))
    axes.set(xlabel="what the teacher also sees in it", ylabel="the digit")
    axes.grid(False)
    figure.colorbar(shown, label="mean probability (%)", shrink=0.8)
    return figure
