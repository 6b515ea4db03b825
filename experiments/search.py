"""How lesson 2's recipe was chosen: on 55,000 training images, judged on the other 5,000.

    python experiments/search.py

Each variant changes the base in one setting; the last one changes three, and became `Net`
and the recipe "ours". Finished runs stand in search.csv, a row a run; started
again, the script goes on with those that are missing. It never looks at the test images:
`load_mnist` hands them over, and they are dropped at once.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "experiments")]

from compare import append, finished, machine, train_recipe  # noqa: E402
from model import Net, count_parameters  # noqa: E402
from utils import best_device, load_mnist, split  # noqa: E402

RESULTS = Path(__file__).with_name("search.csv")
AUGMENTATION = ("degrees", "translate", "scale", "shear")
BASE = {
    "epochs": 15,
    "batch_size": 128,
    "learning_rate": 0.2,
    "weight_decay": 5e-4,
    "channels": (16, 24, 24, 32),
    "dropout": 0.1,
    "degrees": 10,
    "translate": 0.07,
    "scale": 0.1,
    "shear": 5,
}
CHOSEN = {"channels": (16, 24, 24, 40), "dropout": 0.05, "epochs": 18}
VARIANTS = {  # changes to the base, and with which seeds
    "base": ({}, (0,)),
    "no augmentation": (dict.fromkeys(AUGMENTATION, 0), (0,)),
    "stronger augmentation": ({"degrees": 15, "translate": 0.1, "scale": 0.15, "shear": 10}, (0,)),
    "learning rate 0.05": ({"learning_rate": 0.05}, (0,)),
    "learning rate 0.1": ({"learning_rate": 0.1}, (0,)),
    "learning rate 0.4": ({"learning_rate": 0.4}, (0,)),
    "weight decay 0.0001": ({"weight_decay": 1e-4}, (0,)),
    "batch size 64": ({"batch_size": 64}, (0,)),
    "no dropout": ({"dropout": 0.0}, (0,)),
    "19 epochs": ({"epochs": 19}, (0,)),
    "channels 16-16-32-40": ({"channels": (16, 16, 32, 40)}, (0,)),
    "channels 12-20-28-40": ({"channels": (12, 20, 28, 40)}, (0,)),
    "channels 16-24-24-40": ({"channels": (16, 24, 24, 40)}, (0,)),
    "chosen": (CHOSEN, (0, 1)),
}


def main():
    device = best_device()
    train_set, validation_set = split(load_mnist()[0])
    for variant, (change, seeds) in VARIANTS.items():
        for seed in seeds:
            if (variant, str(seed)) in finished(RESULTS, "variant", "seed"):
                continue
            print(f"--- {variant}, seed {seed}", flush=True)
            settings = BASE | change
            recipe = {name: settings[name] for name in settings if name not in AUGMENTATION}
            recipe["augmentation"] = {name: settings[name] for name in AUGMENTATION}
            network, history = train_recipe(
                lambda: Net(settings["channels"], settings["dropout"]),
                recipe, seed, train_set, validation_set, device,
            )  # fmt: skip
            last = history.iloc[-1].rename(lambda name: name.replace("test_", "validation_"))
            row = {"variant": variant, "seed": seed, **settings}
            row["channels"] = "-".join(map(str, settings["channels"]))
            row["parameters"] = count_parameters(network)
            columns = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
            row |= {name: f"{last[name]:.5f}" for name in columns}
            row |= {"seconds": f"{history['seconds'].sum():.1f}", **machine(device)}
            append(RESULTS, row)


if __name__ == "__main__":
    main()
