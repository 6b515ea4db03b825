"""Keep `Net` as it is in the middle of its training: recipe "ours", seed 1, after epoch 6.

    python experiments/halfway.py

Notebook 2 asks why the network is worse there than before and after. It needs the weights
of that moment: weights/Net-epoch-6.pt. A training of utils.py keeps only the last ones.
"""

import sys
from pathlib import Path

import torch

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent), str(FOLDER)]

import utils  # noqa: E402
from files import replacing  # noqa: E402
from mnist import load_mnist  # noqa: E402
from model import Net  # noqa: E402

EPOCH = 6
WEIGHTS = FOLDER / "weights" / f"Net-epoch-{EPOCH}.pt"


def main():
    train_set, test_set = load_mnist()
    device, recipe = utils.best_device(), utils.RECIPES["ours"]
    utils.seed_everything(1)
    network = Net().to(device)
    loader = utils.TensorLoader(train_set, recipe.batch_size, True, recipe.augmentation, device)
    test_loader = utils.TensorLoader(test_set, 1000, device=device)
    optimizer, scheduler = utils.make_optimizer(network, recipe, len(loader))
    # The schedule is that of the whole training; just the epochs after this one are not run.
    utils.fit(network, loader, test_loader, optimizer, scheduler, EPOCH)
    with replacing(WEIGHTS) as file:
        torch.save({k: v.cpu().contiguous() for k, v in network.state_dict().items()}, file)


if __name__ == "__main__":
    main()
