"""What was tried: the variants that `search.py` trains, as changes to one base.

A row of `search.csv` is a variant and a seed; its columns are the settings of `BASE`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from utils import FIVE_LOOKS

BASE = {
    "network": "Net",
    "epochs": 12,
    "plain_epochs": 0,
    "batch_size": 128,
    "learning_rate": 0.2,
    "weight_decay": 5e-4,
    "channels": (16, 24, 24, 24, 24),
    "dropout": 0.0,
    "degrees": 10,
    "translate": 0.07,
    "scale": 0.1,
    "shear": 5,
    "schedule": "one-cycle",
    "average": None,
    "layers": "",
    "activation": "relu",
    "elastic": 0.0,
    "label_smoothing": 0.0,
    "teacher": None,
    "temperature": 3.0,
    "share": 0.9,
    "looks": "",
    "held_out": 5000,
}
FOUR = {"channels": (16, 24, 24, 40)}
FIVE = {"channels": (16, 20, 20, 24, 32)}
TINY = {"channels": (10, 14, 14, 16, 16)}
SOFT = {"translate": 0.05, "shear": 0}
FAST = {"network": "FastNet", "channels": (), "batch_size": 256, "learning_rate": 0.5} | SOFT
OURS = SOFT | {"dropout": 0.05}
FAST_PLAIN = FAST | {"epochs": 6, "plain_epochs": 1}  # the recipe "fast"
FAST_NAME = "FastNet, 6 epochs, last one plain"
FAST_SETTINGS = BASE | FAST_PLAIN
NO_AUGMENTATION = {"degrees": 0, "translate": 0, "scale": 0}
TINYNET = SOFT | {"network": "TinyNet", "channels": ()}
VARIANTS = {  # changes to the base, and with which seeds
    "base": ({}, (0, 1)),
    "channels 16-24-24-40": (FOUR, (0,)),
    "channels 16-24-24-40, softer augmentation": (FOUR | SOFT, (0,)),
    "channels 16-24-24-40, weight decay 0.0002": (FOUR | {"weight_decay": 2e-4}, (0,)),
    "channels 16-24-24-40, 18 epochs": (FOUR | {"epochs": 18}, (0,)),
    "channels 12-20-20-24-32": ({"channels": (12, 20, 20, 24, 32)}, (0,)),
    "channels 16-20-20-20-20-20": ({"channels": (16, 20, 20, 20, 20, 20)}, (0,)),
    "channels 16-20-20-24-32": (FIVE, (0, 1)),
    "channels 16-20-20-24-32, weight decay 0.0002": (FIVE | {"weight_decay": 2e-4}, (0,)),
    "channels 16-20-20-24-32, weight decay 0.001": (FIVE | {"weight_decay": 1e-3}, (0,)),
    "channels 16-20-20-24-32, batch size 64": (
        FIVE | {"batch_size": 64, "learning_rate": 0.1},
        (0,),
    ),
    "channels 16-20-20-24-32, weaker augmentation": (
        FIVE | {"degrees": 7.5, "translate": 0.05, "scale": 0.07, "shear": 4},
        (0,),
    ),
    "learning rate 0.3": ({"learning_rate": 0.3}, (0,)),
    "dropout 0.05": ({"dropout": 0.05}, (0, 1)),
    "softer augmentation": (SOFT, (0, 1)),
    "softer augmentation, 18 epochs": (SOFT | {"epochs": 18}, (0, 1)),
    "channels 10-14-14-16-16": (TINY, (0, 1)),
    "FastNet, 5 epochs": (FAST | {"epochs": 5}, (2, 3, 4)),
    "FastNet, 5 epochs, last one plain": (FAST | {"epochs": 5, "plain_epochs": 1}, (0, 1, 2, 3, 4)),
    "FastNet, 6 epochs": (FAST | {"epochs": 6}, (2, 3, 4)),
    FAST_NAME: (FAST_PLAIN, (0, 1, 2, 3, 4)),
    "ours": (OURS, (2, 3, 4)),
    "ours, last epoch plain": (OURS | {"plain_epochs": 1}, (2, 3, 4)),
    "ours, last two epochs plain": (OURS | {"plain_epochs": 2}, (2, 3, 4)),
    "TinyNet": (TINYNET, (2, 3, 4)),
    "TinyNet, weight decay 0.0001": (TINYNET | {"weight_decay": 1e-4}, (2, 3, 4)),
    "TinyNet, 19 epochs": (TINYNET | {"epochs": 19}, (2, 3, 4)),
}
ABLATION = {  # for notebook 3: the recipe "fast" with one thing changed or added
    "constant rate 0.01": {"schedule": "constant", "learning_rate": 0.01},
    "constant rate 0.04": {"schedule": "constant", "learning_rate": 0.04},
    "batch 64, rate 0.125": {"batch_size": 64, "learning_rate": 0.125},
    "no augmentation": NO_AUGMENTATION,
    "no plain epoch": {"plain_epochs": 0},
    "no weight decay": {"weight_decay": 0.0},
    "averaged weights": {"average": 0.99},
}
VARIANTS |= {
    f"fast, {name}": (FAST_PLAIN | change, (0, 1, 2, 3, 4)) for name, change in ABLATION.items()
}

# --- The record: 50,000 training images, judged on the other 10,000 -----------------------

RECORD = SOFT | {"network": "candidate", "channels": (), "epochs": 19, "held_out": 10_000}
NET = "16k5M 24 24 24 24"  # the layers of Net; candidates.py says how they are written
DEEP = "16k5M 20p 20p 20 20 18 14"
TWO = "8p 16M 24 24 24 20"  # of RecordNet
TINY_TWO = "8p 8M 14 14 14 14"
A = {"layers": "48k5M 96 96 96 96", "dropout": 0.2}
B = {"layers": "64k5M 128p 128pr 128 128 128", "dropout": 0.2}
C = {"layers": "32k5pM 64p 64pr 64prM 128p 128pr 128pr", "dropout": 0.2}
LONG = {"epochs": 40}
PIXEL = [(1, 0), (-1, 0), (0, 1), (0, -1)]
CORNERS = [(1, 1), (-1, 1), (1, -1), (-1, -1)]
TURNED, ZOOMED = [(0, 0, 5, 1), (0, 0, -5, 1)], [(0, 0, 0, 1.05), (0, 0, 0, 0.95)]


def moved(*shifts):
    """Looks: the image as it is, and shifted by so many pixels across and down."""
    return [(*shift, 0, 1) for shift in ((0, 0), *shifts)]


LOOKS = {  # how a trained network sees each image: see `utils.Looks`
    "": None,
    "five": FIVE_LOOKS,
    "five, a pixel": moved(*PIXEL),
    "five, corners": moved(*CORNERS),
    "four": moved((1, 0), (0, 1), (1, 1)),
    "nine": moved(*PIXEL, *CORNERS),
    "twenty-five": [(x, y, 0, 1) for x in range(-2, 3) for y in range(-2, 3)],
    "turned": moved() + TURNED,
    "zoomed": moved() + ZOOMED,
    "seven": moved(*PIXEL) + TURNED,
    "nine, all kinds": moved(*PIXEL) + TURNED + ZOOMED,
}
TEACHERS = {  # trained without the held-out images of their seed, as their students are
    "teacher A": (A, (0, 1, 2, 3)),
    "teacher B": (B, (0, 1, 2, 3)),
    "teacher C": (C, (0, 1, 2, 3)),
    "teacher A, elastic": (A | {"elastic": 0.04}, (0, 1, 2, 3)),
    "teacher A, 40 epochs": (A | LONG, (0, 1, 2, 3)),
    "teacher B, 40 epochs": (B | LONG, (0, 1, 2, 3)),
    "teacher A, dropout 0.1": (A | {"dropout": 0.1}, (0, 1, 2)),
    "teacher A, dropout 0.3": (A | {"dropout": 0.3}, (0, 1, 2)),
    "teacher A, kernel by kernel": (A, (0, 1, 2, 3)),
    "teacher B, 40 epochs, kernel by kernel": (B | LONG, (0, 1)),
    "teacher A, two cores": (A, (0, 1, 2)),
}
THREE = "teacher A+teacher A, dropout 0.1+teacher A, dropout 0.3"
CHANGES = {  # what the part of a variant's name behind a comma changes
    "rate 0.1": {"learning_rate": 0.1},
    "rate 0.2": {"learning_rate": 0.2},
    "rate 0.3": {"learning_rate": 0.3},
    "rate 0.4": {"learning_rate": 0.4},
    "rate 0.8": {"learning_rate": 0.8},
    "batch 64": {"batch_size": 64},
    "batch 128": {"batch_size": 128},
    "batch 192": {"batch_size": 192},
    "batch 256": {"batch_size": 256},
    "weight decay 0.0001": {"weight_decay": 1e-4},
    "weight decay 0.0002": {"weight_decay": 2e-4},
    "weight decay 0.001": {"weight_decay": 1e-3},
    "label smoothing 0.05": {"label_smoothing": 0.05},
    "label smoothing 0.1": {"label_smoothing": 0.1},
    "dropout 0.1": {"dropout": 0.1},
    "elastic 0.03": {"elastic": 0.03},
    "elastic 0.05": {"elastic": 0.05},
    "shift 0.07": {"translate": 0.07},
    "shift 0.1": {"translate": 0.1},
    "turn 7": {"degrees": 7},
    "turn 15": {"degrees": 15},
    "zoom 0.07": {"scale": 0.07},
    "zoom 0.15": {"scale": 0.15},
    "shear 5": {"shear": 5},
    "shear 10": {"shear": 10},
    "silu": {"activation": "silu"},
    "gelu": {"activation": "gelu"},
    "last epoch plain": {"plain_epochs": 1},
    "two plain epochs": {"plain_epochs": 2},
    "no plain epoch": {"plain_epochs": 0},
    "2 epochs": {"epochs": 2},
    "3 epochs": {"epochs": 3},
    "5 epochs": {"epochs": 5},
    "taught by A": {"teacher": "teacher A"},
    "taught by A after 40 epochs": {"teacher": "teacher A, 40 epochs"},
    "taught by B after 40 epochs": {"teacher": "teacher B, 40 epochs"},
    "taught by three": {"teacher": THREE},
    "temperature 1": {"temperature": 1.0},
    "temperature 2": {"temperature": 2.0},
    "temperature 5": {"temperature": 5.0},
    "share 0.5": {"share": 0.5},
    "share 1.0": {"share": 1.0},
    # Not the variant itself, but where it ran: without CUDA graphs, or on a CPU.
    "kernel by kernel": {},
    "two cores": {},
}
SHORT_CHANGES = CHANGES | {
    "averaged weights": {"average": 0.99},
    "light": {"degrees": 7, "translate": 0.04, "scale": 0.07},
    "shift only": {"degrees": 0, "scale": 0},
    "16-16-32-32": {"layers": "16k5M 16M 32 32"},
    "16-16-48-16": {"layers": "16k5M 16M 48 16"},
    "16-32-32": {"layers": "16k5M 32M 32"},
    "16-32-48": {"layers": "16k5M 32M 48"},
    "16-32p-32-16": {"layers": "16k5M 32M 32p 16M"},
    "8-16-32-32": {"layers": "8k5M 16M 32 32"},
    "8-16-48-16": {"layers": "8k5M 16M 48 16"},
    "8-32-32-16": {"layers": "8k5M 32M 32 16"},
    "8-32-48": {"layers": "8k5M 32M 48"},
}
CHANGES |= {"averaged weights": {"average": 0.999}}
CHANGES |= {f"looks {name.replace(', ', ' ')}": {"looks": name} for name in LOOKS if name}


def named(head, base, changes, *rest, seeds):
    """Variants of one base: a name and its change for each text of changes in `rest`."""
    variants = {}
    for text in rest:
        change = dict(base)
        for part in filter(None, text.split(", ")):
            change |= changes[part]
        variants[", ".join(filter(None, (head, text)))] = (change, seeds)
    return variants


def record(layers, *rest, seeds):
    """Variants of a candidate for the record."""
    return named(layers, RECORD | {"layers": layers}, CHANGES, *rest, seeds=seeds)


VARIANTS |= {name: (RECORD | change, seeds) for name, (change, seeds) in TEACHERS.items()}

# First each network with the same recipe, on two held-out sets; fewer than 20,000 parameters,
# then fewer than 8,000.
for layers in (
    "16k5pM 22p 22pr 22prM 22p",
    "16k5M 20p 20pr 20pr 20 20",
    "16k5M 16p 16pr 16prM 20p 20pr 20pr",
    "16k5M 16p 16pr 16pr 16pr 16pr 16pr 16",
    "16k5M 20p 20pr 20pr 20prM 20pr",
    "16k5pM 20p 20pr 20prM 20p 20pr",
    "8p 16M 20p 20pr 20 20 20",
    "8p 12pM 20p 20pr 20prM 20p 20pr",
    "16k5M 24p 24M 24p 24p",
    "16k5M 20 20 24 30",
    "16k7M 24 24 24 22",
    "12k5M 20 24 28 24",
    "16k5pM 40k5d 40k5dr 40k5drM 40k5d 40k5dr",
    "20k5M 22 22 22 22",
    "16k5M 24s 24s 24s 20s",
    "16k5M 44d 44dr 44drM 52d 52dr 52dr",
    "16k5M 32dM 64d 64dr 64dr 64dr",
    "24k5pM 48d 48drM 48d 48dr 48dr 48dr",
    "8 8M 16p 16pr 16prM 24p 24pr",
    "16k5M 40d 40dr 40dr 40dr 40dr 40dr 40dr 40dr 40dr",
    "16k5M 32d 32dr 32dr 32dr 32dr 32drM 44d 44dr 44dr",
    "16k5M 20ps 20prs 20s 20s 20s",
    "16k5M 18p 18pr 18 18 18 18",
    "12k5M 18p 18 18p 18 18p 18",
    "10k5M 12p 12pr 12pr 12 12",
    "10k5M 13p 13pr 13 13 13",
    "10k5M 12p 12pr 12prM 12p 12pr",
    "8k5M 14 14 16 17",
    "12k5M 24d 24dr 24dr 24dr 24dr 24dr 24dr",
    "10k5M 13s 13s 14s 15s",
    "16k5M 24d 24dr 24drM 32d 32dr 32dr",
    "12k5M 24d 24dr 24drM 32d 32dr 32dr",
):
    VARIANTS |= record(layers, "", seeds=(0, 1))

# Then one change at a time, mostly of Net's recipe; then the most promising ones together.
VARIANTS |= record(
    NET,
    "",
    "batch 256, rate 0.4",
    "batch 64, rate 0.1",
    "rate 0.1",
    "rate 0.4",
    "rate 0.3, weight decay 0.0002",
    "weight decay 0.0001",
    "weight decay 0.0002, kernel by kernel",
    "weight decay 0.001",
    "label smoothing 0.05",
    "label smoothing 0.1",
    "dropout 0.1",
    "averaged weights",
    "elastic 0.03",
    "elastic 0.05",
    "shift 0.1",
    "shear 10",
    "turn 15, zoom 0.15, shear 10",
    "turn 7, zoom 0.07",
    "turn 7, zoom 0.07, kernel by kernel",
    "turn 7, zoom 0.07, weight decay 0.0002",
    "silu",
    seeds=(0, 1),
)
VARIANTS |= record(NET, "gelu", "last epoch plain", seeds=(0,))
VARIANTS |= record(
    DEEP,
    "",
    "weight decay 0.0001",
    "weight decay 0.0002",
    "turn 7, zoom 0.07",
    "turn 7, zoom 0.07, weight decay 0.0002",
    seeds=(0, 1),
)
VARIANTS |= record(TWO, "", "weight decay 0.0002", "turn 7, zoom 0.07", seeds=(0, 1))
VARIANTS |= record(
    "10k5M 14 14 16 16",
    "",
    "weight decay 0.0002",
    "turn 7, zoom 0.07",
    "turn 7, zoom 0.07, weight decay 0.0002",
    seeds=(0, 1),
)

# What was left, on a third set.
LARGE_BATCH = "batch 256, rate 0.4, weight decay 0.0002"
VARIANTS |= record(NET, "weight decay 0.0002", LARGE_BATCH, seeds=(0, 1, 2))
VARIANTS |= record(
    TWO,
    "weight decay 0.0001",
    "turn 7, zoom 0.07, weight decay 0.0002",
    LARGE_BATCH,
    seeds=(0, 1, 2),
)
VARIANTS |= record("8p 8p 16M 24 24 24 18", LARGE_BATCH, seeds=(0, 1, 2))
VARIANTS |= record("12p 12M 24 24 24 20", LARGE_BATCH, seeds=(0, 1, 2))
VARIANTS |= record(TINY_TWO, "", "weight decay 0.0002", LARGE_BATCH, seeds=(0, 1, 2))
VARIANTS |= record("8p 8M 14 14 15 16", "weight decay 0.0002", seeds=(0, 1, 2))

# With a teacher.
VARIANTS |= record(
    NET,
    "taught by A",
    "taught by A, two cores",
    "taught by A after 40 epochs",
    "taught by A after 40 epochs, temperature 1",
    "taught by A after 40 epochs, temperature 2",
    "taught by A after 40 epochs, temperature 5",
    "taught by A after 40 epochs, share 0.5",
    "taught by A after 40 epochs, share 1.0",
    "taught by A after 40 epochs, weight decay 0.0002",
    "taught by A after 40 epochs, turn 7, zoom 0.07",
    "taught by A after 40 epochs, turn 7, zoom 0.07, weight decay 0.0002",
    "taught by A after 40 epochs, shift 0.07, shear 5",
    "taught by B after 40 epochs",
    seeds=(0,),
)
VARIANTS |= record(DEEP, "taught by A", "taught by A after 40 epochs", seeds=(0,))
VARIANTS |= record(
    NET,
    "taught by A, weight decay 0.0002",
    "taught by three, weight decay 0.0002",
    "taught by three, weight decay 0.0002, batch 256, rate 0.4",
    seeds=(0, 1, 2),
)
VARIANTS |= record(
    TWO, "taught by three, weight decay 0.0002, batch 256, rate 0.4", seeds=(0, 1, 2)
)
VARIANTS |= record(TINY_TWO, "taught by three, weight decay 0.0002", seeds=(0, 1, 2))

# The networks of the record, trained once and then read in several ways.
READ = f"{LARGE_BATCH}, two cores"
READ_AS = [READ, *(f"{READ}, {change}" for change in CHANGES if change.startswith("looks "))]
VARIANTS |= record(TWO, *READ_AS, seeds=(0, 1, 2))
VARIANTS |= record("8p 8M 14 14 15 16", *READ_AS, seeds=(0,))

# RecordNet with a teacher, at three temperatures.
VARIANTS |= record(
    TWO,
    f"taught by A, two cores, {LARGE_BATCH}",
    f"taught by A, temperature 2, two cores, {LARGE_BATCH}",
    f"taught by A, temperature 1, two cores, {LARGE_BATCH}",
    seeds=(0, 1, 2),
)

# --- The clock: short trainings, 55,000 images, judged on the other 5,000 -----------------

SHORT = FAST_PLAIN | {"network": "candidate", "layers": "16k5M 32M 32 16", "epochs": 4}
VARIANTS |= named(
    "short",
    SHORT,
    SHORT_CHANGES,
    "",
    "5 epochs",
    "3 epochs",
    "rate 0.3",
    "rate 0.8",
    "batch 192, rate 0.4",
    "batch 128, rate 0.3",
    "light",
    "light, 5 epochs",
    "shift only",
    "two plain epochs",
    "no plain epoch",
    "label smoothing 0.1",
    "weight decay 0.001",
    "weight decay 0.0002",
    "averaged weights",
    "16-16-32-32",
    "16-16-32-32, 5 epochs",
    "16-16-48-16",
    "16-32-32",
    "16-32-48",
    "16-32-48, 5 epochs",
    "16-32p-32-16",
    "8-16-32-32",
    "8-16-32-32, 5 epochs",
    "8-32-48",
    "8-32-48, 5 epochs",
    "8-32-32-16, two cores",
    seeds=(5, 6, 7),
)
VARIANTS |= named(  # for these, two processor cores were timed as well
    "short",
    SHORT,
    SHORT_CHANGES,
    "8-32-32-16",
    "8-32-32-16, batch 128, rate 0.3",
    "8-32-32-16, batch 128, rate 0.3, 3 epochs",
    "8-32-32-16, batch 128, rate 0.3, 2 epochs",
    "8-32-32-16, batch 64, rate 0.2, 3 epochs",
    "8-32-32-16, batch 64, rate 0.2, 2 epochs",
    "8-16-48-16",
    "8-16-48-16, batch 128, rate 0.3",
    "8-16-48-16, batch 128, rate 0.3, 3 epochs",
    seeds=(5, 6, 7, 8, 9),
)
