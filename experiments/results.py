"""Results of the long runs: rows of CSV files, and what README and notebook 3 show of them.

    python experiments/results.py      print README's tables

`results.csv` holds a row for each training of `compare.py`, `mistakes.csv` the test digits
that some of these trainings got wrong, `speed.csv` a row for each measurement of `speed.py`,
`search.csv` one for each run of `search.py`.
"""

import argparse
import csv
import sys
from math import comb
from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent), str(FOLDER)]

import figures  # noqa: E402
from files import replacing  # noqa: E402
from model import OUR_RECIPE, PUBLISHED_ACCURACY  # noqa: E402
from plots import plot_comparison  # noqa: E402
from utils import RECIPES  # noqa: E402

RESULTS = FOLDER / "results.csv"
MISTAKES = FOLDER / "mistakes.csv"
SPEED = FOLDER / "speed.csv"
SHOWN = (  # in README's table: network, recipe
    ("Net", "ours"),
    ("RecordNet", "record"),
    ("RecordNet", "record, five looks"),
    ("RecordNet", "taught"),
    ("RecordNet", "taught, five looks"),
    ("RecordNet", "taught, temperature 3"),
    ("RecordNet", "taught by three"),
    ("TinyNet", "long"),
    ("TinyRecordNet", "record"),
    ("TinyRecordNet", "record, five looks"),
    ("FastNet", "fast"),
    ("SprintNet", "sprint"),
    *((name, name) for name in "ABCDE"),
)
KEY = ("network", "recipe", "seed")  # which run a row of results.csv is

# --- Rows --------------------------------------------------------------------------


def finished(path, *columns):
    """The values of some columns, as texts, for every row of a CSV: a set of tuples."""
    if not path.exists():
        return set()
    with open(path, newline="") as file:
        return {tuple(row[column] for column in columns) for row in csv.DictReader(file)}


def append(path, row):
    """Add a row to a CSV, below a header if the file is new; a kill leaves no half row.

    Raises:
        ValueError: the file that is there has other columns; it stays as it is.
    """
    refuse_other_columns(path, row)
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    with replacing(path, "w", newline="", encoding="utf-8") as file:
        file.write(old if not old or old.endswith("\n") else old + "\n")
        writer = csv.DictWriter(file, row, lineterminator="\n")
        if not old:
            writer.writeheader()
        writer.writerow(row)


def refuse_other_columns(path, columns):
    """Raise a ValueError if the file is there and is no CSV with these columns."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no CSV file: keep the rows in another file.") from None
    header = next(csv.reader(lines), None)
    if header is not None and header != list(columns):
        raise ValueError(
            f"{path} has the columns {', '.join(header)}, the new row has "
            f"{', '.join(columns)}: keep the rows in another file."
        )


def differences(path, row, columns):
    """The columns in which a repeated run differs from its row, as texts; [] if there are none."""
    with open(path, newline="") as file:
        (old,) = (r for r in csv.DictReader(file) if all(r[name] == row[name] for name in KEY))
    return [f"{c} {old[c]}, now {row[c]}" for c in columns if old[c] != str(row[c])]


def mistakes_as_text(logits, labels):
    """The digits that a network got wrong, compactly: "947:8 1014:5" is index:prediction.

    Args:
        logits: (N, 10).
        labels: int64 (N,).
    """
    predictions = logits.argmax(1)
    wrong = (predictions != labels).nonzero().ravel().tolist()
    return " ".join(f"{i}:{predictions[i]}" for i in wrong)


def read_mistakes():
    """mistakes.csv: {(network, recipe, seed): {index of a test digit: the wrong prediction}}."""
    rows = pd.read_csv(MISTAKES, keep_default_na=False)
    return {
        (row.network, row.recipe, row.seed): dict(
            tuple(map(int, pair.split(":"))) for pair in row.mistakes.split()
        )
        for row in rows.itertuples()
    }


# --- What they say -----------------------------------------------------------------


def summarise(runs):
    """One row for all runs of a network with a recipe.

    Args:
        runs: results.csv as a DataFrame.

    Returns:
        A DataFrame with the index (network, recipe), in the order of the first runs, and
        the columns parameters, epochs, runs; mean, sd, lowest and highest of the accuracy
        after the last epoch; best and luckiest, mean and maximum of the best epochs, which
        are chosen on the test set; seconds, for an epoch of the fastest run. Accuracies
        are in percent.
    """
    percent = runs.assign(
        last=(runs["test_accuracy"] * 100).round(3),  # 0.9943 * 100 is not quite 99.43
        best=(runs["best_accuracy"] * 100).round(3),
        seconds=runs["seconds"] / runs["epochs"],
    )
    return percent.groupby(["network", "recipe"], sort=False).agg(
        parameters=("parameters", "first"),
        epochs=("epochs", "first"),
        runs=("seed", "size"),
        mean=("last", "mean"),
        sd=("last", "std"),
        lowest=("last", "min"),
        highest=("last", "max"),
        best=("best", "mean"),
        luckiest=("best", "max"),
        seconds=("seconds", "min"),
    )


def compared(summary):
    """The rows of `summarise` that a comparison of networks shows.

    Each network of fewer than 20,000 parameters with its published recipe, if there is one,
    and with our recipe for it.
    """
    small = summary[summary["parameters"] < 20_000]
    chosen = [recipe in (name, OUR_RECIPE.get(name)) for name, recipe in small.index]
    return small[chosen]


def mcnemar(first, second):
    """McNemar's exact test of two networks on the same digits.

    Digits that both get right, or both wrong, tell nothing about which is better. If the two
    are equally good, each of the others is a fair coin. p is the probability that so many
    fair coins fall at least as unevenly as here, to either side (McNemar, Psychometrika
    1947; Dietterich, Neural Computation 1998).

    Args:
        first, second: which digits each network gets wrong, as a set or a dict of indices.

    Returns:
        (only_first, only_second, p): how many digits only the first, and only the second
        network gets wrong, and the p-value, in 0 … 1.
    """
    only_first, only_second = len(set(first) - set(second)), len(set(second) - set(first))
    coins = only_first + only_second
    as_uneven = sum(comb(coins, k) for k in range(min(only_first, only_second) + 1))
    return only_first, only_second, min(1.0, 2 * as_uneven / 2**coins)


def holm(p_values):
    """Adjust several p-values, so that luck alone seldom puts any of them below 0.05.

    The smallest is multiplied by their number n, the next by n − 1, and so on; none becomes
    smaller than the one before it, or larger than 1 (Holm, Scandinavian Journal of
    Statistics 1979).

    Args:
        p_values: a Series.

    Returns:
        A Series with the same index.
    """
    ordered = p_values.sort_values()
    adjusted = (ordered * [*range(len(ordered), 0, -1)]).cummax().clip(upper=1)
    return adjusted.reindex(p_values.index)


def results_table():
    """README's table of accuracies, in Markdown, from results.csv."""
    summary = summarise(pd.read_csv(RESULTS))
    lines = ["| network | parameters | epochs | runs | last epoch | best epoch | published |"]
    lines.append("|---|---|---|---|---|---|---|")
    for network, recipe in SHOWN:
        row = summary.loc[network, recipe]
        published = PUBLISHED_ACCURACY.get(network)
        usual = (network, OUR_RECIPE[network])
        unusual = "".join(f", {part}" for part in recipe.split(", ") if part not in usual)
        cells = (
            network if network == recipe else f"**{network}**{unusual}",
            f"{row['parameters']:,.0f}",
            f"{row['epochs']:.0f}",
            f"{row['runs']:.0f}",
            f"{row['mean']:.3f}" + (f" ± {row['sd']:.3f}" if row["runs"] > 1 else ""),
            f"{row['best']:.2f}",
            "" if published is None else f"{published:.2f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def speed_table():
    """README's table of seconds, in Markdown, from speed.csv: on a CPU, then on other devices."""
    everywhere = pd.read_csv(SPEED)
    speed = everywhere[everywhere["device"] == "cpu"]
    seconds = speed.groupby(["pipeline", "network"])["seconds"].agg(["mean", "min"])
    epochs = RECIPES["D"].epochs
    usual = seconds.loc["usual", "D"] * epochs
    ours_net, usual_net = seconds.loc["ours", "Net"], seconds.loc["usual", "Net"]
    rows = {f"D in the usual pipeline, {epochs} epochs (one epoch was timed, twice)": usual}
    for name in ("FastNet", "SprintNet"):
        training = seconds.loc["ours", name]
        rows |= {f"`{name}`, the whole training ({trainings(speed, name)})": training}
        rows |= {f"*D takes so many times as long as `{name}`*": usual / training}
    rows |= {
        "an epoch of `Net` in our pipeline": ours_net,
        "an epoch of `Net` in the usual pipeline": usual_net,
        "*times as long*, the pipeline alone": usual_net / ours_net,
    }
    elsewhere = everywhere[everywhere["device"] != "cpu"]
    for (device, name), timed in elsewhere.groupby(["device", "network"]):
        what = f"`{name}` on one {device}, the whole training ({trainings(timed, name)})"
        rows[what] = timed["seconds"].agg(["mean", "min"])
    lines = ["| seconds | on average | fastest |", "|---|---|---|"]
    lines += [f"| {what} | {row['mean']:.1f} | {row['min']:.1f} |" for what, row in rows.items()]
    return "\n".join(lines)


def trainings(speed, network):
    """What was trained, for a table: how many epochs and seeds, and the mean accuracy."""
    rows = speed[speed["network"] == network]
    accuracy = f"{rows['test_accuracy'].mean():.2%}".replace("%", " %")
    return f"{rows['epochs'].iloc[0]} epochs, {len(rows)} seeds, {accuracy} on average"


def draw(path=figures.IMAGES / "accuracy.png"):
    """Draw the figure of README and notebook 3 from results.csv; return its path."""
    summary = compared(summarise(pd.read_csv(RESULTS)))
    figure = plot_comparison(summary, pd.Series(PUBLISHED_ACCURACY))
    figures.save(figure, path, dpi=150)
    return path


def main(arguments=None):
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(arguments)
    print(results_table(), speed_table(), sep="\n\n")


if __name__ == "__main__":
    main()
