"""Lesson 2: recipes, batches and their augmentation, training, testing, and resuming.

The data sit as tensors on the training device. Batching and augmentation work there, on
a whole batch at a time: a pipeline that prepares image after image would cost more than
these small networks. The networks are in `model.py`, the data set in `mnist.py`.
"""

import contextlib
import copy
import hashlib
import math
import sys
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from files import replacing
from mnist import normalise

# --- Recipes -----------------------------------------------------------------------


@dataclass(frozen=True)
class RandomAffine:
    """Rotate, shift, scale and shear every image of a batch at random, each differently.

    Attributes:
        degrees: rotation, uniform in ±degrees.
        translate: shift in x and in y, uniform in ± this share of the width.
        scale: zoom, uniform in 1 ± scale.
        shear: uniform in ±shear degrees.
        crop, crop_probability: with this probability, enlarge the middle crop×crop pixels
            to the full size, as torchvision's CenterCrop and Resize do.
        elastic: bend the image: every pixel is moved by a smooth random field. This is the
            field's standard deviation at its 5×5 knots, as a share of the width (after
            Simard, Steinkraus and Platt, ICDAR 2003).
    """

    degrees: float = 0.0
    translate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    crop: int | None = None
    crop_probability: float = 0.0
    elastic: float = 0.0

    def __str__(self):
        settings = ((field.name, getattr(self, field.name)) for field in fields(self))
        return ", ".join(f"{name} {value}" for name, value in settings if value)

    def __call__(self, images):
        """Transform a float batch (N, 1, H, W); what comes in from outside is 0."""
        n, device = len(images), images.device
        uniform = torch.rand(5, n, device=device) * 2 - 1  # in -1 … 1
        angle, shear = torch.deg2rad(uniform[0] * self.degrees), uniform[1] * self.shear
        zoom = 1 / (1 + uniform[2] * self.scale)
        if self.crop:
            cropped = torch.rand(n, device=device) < self.crop_probability
            zoom = torch.where(cropped, zoom * self.crop / images.shape[-1], zoom)
        shift = uniform[3:] * self.translate * 2  # affine_grid measures the width as 2
        cos, sin, slant = angle.cos(), angle.sin(), torch.deg2rad(shear).tan()
        rows = (
            torch.stack([zoom * cos, zoom * (cos * slant - sin), shift[0]], dim=1),
            torch.stack([zoom * sin, zoom * (sin * slant + cos), shift[1]], dim=1),
        )
        grid = F.affine_grid(torch.stack(rows, dim=1), images.shape, align_corners=False)
        if self.elastic:
            knots = torch.randn(n, 2, 5, 5, device=device) * self.elastic * 2
            field = F.interpolate(knots, images.shape[2:], mode="bicubic", align_corners=True)
            grid = grid + field.permute(0, 2, 3, 1)
        return F.grid_sample(images, grid, align_corners=False)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        epochs: how often every training image is shown.
        batch_size: images a step.
        learning_rate: the highest one, where the schedule changes it.
        weight_decay: the share of each weight that is added to its gradient.
        schedule: "one-cycle" or "constant": see `make_optimizer`.
        augmentation: how each batch is distorted; None shows the images as they are.
        plain_epochs: the last so many epochs show the images as they are.
        average: the decay of an exponential moving average of the weights, updated after
            every step; the average is tested after the last epoch. None: no average.
        label_smoothing: the share of the target that is spread evenly over all ten classes
            (Szegedy and others, CVPR 2016).
        teacher: the name of a trained network, or several joined by "+", to learn from; the
            student's loss is `distillation_loss` then. None: learn from the labels alone.
        temperature, share: see `distillation_loss`.
        looks: how often, and how moved, the network sees each image when it is tested after
            the last epoch: see `Looks`. None: once, as it is.

    Raises:
        ValueError: another schedule, or more plain epochs than epochs.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    schedule: str = "one-cycle"
    augmentation: RandomAffine | None = None
    plain_epochs: int = 0
    average: float | None = None
    label_smoothing: float = 0.0
    teacher: str | None = None
    temperature: float = 3.0
    share: float = 0.9
    looks: tuple | None = None

    def __post_init__(self):
        if self.schedule not in ("one-cycle", "constant"):
            raise ValueError(f"unknown schedule {self.schedule!r}: use one-cycle or constant")
        if not 0 <= self.plain_epochs <= self.epochs:
            raise ValueError(
                f"{self.plain_epochs} plain epochs of {self.epochs} epochs: "
                "plain_epochs must be from 0 to epochs"
            )


# Ours were chosen with experiments/search.py, on 55,000/5,000 splits of the training images,
# without the test images. A published recipe has the name of its network in model.py.
AFFINE = RandomAffine(degrees=10, translate=0.05, scale=0.1)
CROP = RandomAffine(degrees=15, crop=22, crop_probability=0.1)
OURS = Recipe(12, 128, learning_rate=0.2, weight_decay=5e-4, augmentation=AFFINE)
RECORD = replace(OURS, epochs=19, batch_size=256, learning_rate=0.4, weight_decay=2e-4)
RECIPES = {
    "ours": OURS,
    # For TinyNet. With 18 epochs, Net was better on one held-out set and worse on the other.
    "long": replace(OURS, epochs=19),
    # For FastNet: a short training.
    "fast": replace(OURS, epochs=6, plain_epochs=1, batch_size=256, learning_rate=0.5),
    # For SprintNet: the least seconds to 99.4 %.
    "sprint": replace(OURS, epochs=3, plain_epochs=1, learning_rate=0.3),
    # For RecordNet and TinyRecordNet, alone or with a teacher; and for the teacher itself.
    "record": RECORD,
    "taught": replace(RECORD, teacher="Teacher", temperature=2.0),
    "teacher": replace(OURS, epochs=19),
    # Published: SGD, momentum 0.9, a rate of 0.01 to 0.03, constant. The sources of B, C and D
    # (see model.py) have these settings, but that C's falls to 0.001 from epoch 13 on. For A
    # the rate and that it is constant are guessed.
    "A": Recipe(20, 512, learning_rate=0.03, schedule="constant", augmentation=CROP),
    "B": Recipe(19, 128, learning_rate=0.01, schedule="constant"),
    "C": Recipe(19, 128, learning_rate=0.01, schedule="constant", augmentation=CROP),
    "D": Recipe(19, 64, learning_rate=0.01, schedule="constant"),
    "E": Recipe(14, 128, learning_rate=0.01, schedule="constant"),
}

# --- Batches -----------------------------------------------------------------------


class TensorLoader:
    """A DataLoader for a data set that fits in memory: batches are made on the device.

    Iterating gives (images, labels): images normalised, float (B, 1, 28, 28), in the memory
    format channels_last, with which convolutions are faster; labels int64 (B,); both on
    `device`. The random numbers are PyTorch's own, so that `seed_everything` makes a run
    repeatable.

    Args:
        dataset: a TensorDataset of uint8 images (N, 28, 28) and labels (N,).
        batch_size: B; the last batch may be smaller.
        shuffle: draw a new order in every epoch.
        transform: called with a float batch (B, 1, 28, 28) in 0 … 1, before normalisation.
        device: where the data are kept and the batches made.
    """

    def __init__(self, dataset, batch_size, shuffle=False, transform=None, device="cpu"):
        images, labels = dataset.tensors
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle
        self.transform, self.device = transform, torch.device(device)
        self.images = images.to(self.device).unsqueeze(1)
        self.labels = labels.to(self.device)

    def __len__(self):
        return -(-len(self.labels) // self.batch_size)

    def __iter__(self):
        count = len(self.labels)
        make = torch.randperm if self.shuffle else torch.arange
        for index in make(count, device=self.device).split(self.batch_size):
            yield self.batch(index)

    def batch(self, index):
        """The batch of the examples with these indices, int64 (B,)."""
        images = self.images[index].float() / 255
        if self.transform is not None:
            images = self.transform(images)
        images = normalise(images).contiguous(memory_format=torch.channels_last)
        return images, self.labels[index]

    def without_transform(self):
        """Another loader of the same examples, which shows them as they are."""
        plain = copy.copy(self)
        plain.transform = None
        return plain


# --- Training ----------------------------------------------------------------------


def best_device():
    """CUDA if there is one, else Apple's MPS if it works, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        with contextlib.suppress(RuntimeError):  # on virtual Macs it is listed, but has no memory
            return torch.zeros(1, device="mps").device
    return torch.device("cpu")


def seed_everything(seed):
    """Seed PyTorch on every device. It is the lesson's only source of random numbers."""
    torch.manual_seed(seed)


def autocast(device):
    """Compute in bfloat16 where the hardware has it, else change nothing."""
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        has_bf16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        native = device.type == "cpu" and has_bf16()
    return torch.autocast(device.type, torch.bfloat16) if native else contextlib.nullcontext()


def make_optimizer(network, recipe, steps_per_epoch):
    """SGD with momentum, and the schedule of its learning rate.

    "one-cycle" (Smith and Topin, 2018): the learning rate rises to `recipe.learning_rate`,
    then falls to almost zero at the last step. Nesterov momentum goes the other way, from
    0.95 to 0.85 and back. These are PyTorch's defaults.
    "constant": a constant learning rate and plain momentum 0.9, as in the published recipes.

    Returns:
        (optimizer, scheduler); call `scheduler.step()` after every batch.
    """
    settings = {
        "lr": recipe.learning_rate,
        "weight_decay": recipe.weight_decay,
        "foreach": True,  # all weights in one call, which is faster and gives the same bits
    }
    if recipe.schedule == "constant":
        optimizer = torch.optim.SGD(network.parameters(), momentum=0.9, **settings)
        return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1)
    optimizer = torch.optim.SGD(network.parameters(), momentum=0.95, nesterov=True, **settings)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, epochs=recipe.epochs, steps_per_epoch=steps_per_epoch
    )
    return optimizer, scheduler


def distillation_loss(logits, teacher_logits, targets, temperature=3.0, share=0.9):
    """Learn from a teacher's soft answers, and a little from the labels.

    share · T² · KL(teacher ‖ student), both softened by the temperature T, plus
    (1 − share) · cross-entropy with the labels (Hinton, Vinyals and Dean, 2015). The factor
    T² keeps the size of the first gradient, which softening makes smaller: T² times, where T
    is large against the differences of the logits.

    Args:
        logits, teacher_logits: (N, 10).
        targets: int64 (N,).

    Returns:
        The mean over the batch, a tensor without dimensions.
    """
    student, teacher = (F.log_softmax(z / temperature, 1) for z in (logits, teacher_logits))
    soft = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
    return share * temperature**2 * soft + (1 - share) * F.cross_entropy(logits, targets)


def train(model, device, train_loader, optimizer, epoch, scheduler=None, loss_function=None):
    """Train for one epoch, with a progress bar.

    Args:
        loss_function: called with (images, logits, targets), returns the loss of a batch;
            None for the cross-entropy of logits and targets.

    Returns:
        (loss, accuracy): mean loss, and accuracy from 0 to 1, over the epoch's augmented
        images, in training mode.
    """
    model.train()
    losses, correct = torch.zeros((), device=device), torch.zeros((), device=device)
    bar = tqdm(train_loader, desc=f"Epoch {epoch}", file=sys.stdout, mininterval=0.5)
    for batch_id, (images, targets) in enumerate(bar):
        with autocast(device):
            logits = model(images)
            if loss_function is None:
                loss = F.cross_entropy(logits, targets)
            else:
                loss = loss_function(images, logits, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        losses += loss.detach() * len(targets)
        correct += (logits.argmax(1) == targets).sum()
        if batch_id % 20 == 0 or batch_id + 1 == len(train_loader):  # .item() waits for a GPU
            bar.set_postfix_str(f"loss={loss.item():.4f} batch_id={batch_id}", refresh=False)
    count = len(train_loader.dataset)
    return losses.item() / count, correct.item() / count


@torch.no_grad()
def predict(model, device, loader):
    """Logits (N, 10) and labels (N,), on the CPU, of all examples in the loader's order."""
    model.eval()
    logits, labels = [], []
    for images, targets in loader:
        with autocast(device):
            logits.append(model(images).float())
        labels.append(targets)
    return torch.cat(logits).cpu(), torch.cat(labels).cpu()


def test(model, device, test_loader):
    """Evaluate, and print the line that PyTorch's MNIST example prints.

    Returns:
        (loss, accuracy): mean cross-entropy, and the share of right digits, from 0 to 1.
    """
    logits, labels = predict(model, device, test_loader)
    loss = F.cross_entropy(logits, labels).item()
    correct = (logits.argmax(1) == labels).sum().item()
    share = correct / len(labels)
    print(
        f"Test set: Average loss: {loss:.4f}, Accuracy: {correct}/{len(labels)} ({share:.2%})",
        flush=True,
    )
    return loss, share


test.__test__ = False  # not a pytest test

# As the image is, and half a pixel to each side: see experiments/variants.py for what was tried.
FIVE_LOOKS = ((0, 0, 0, 1), (0.5, 0, 0, 1), (-0.5, 0, 0, 1), (0, 0.5, 0, 1), (0, -0.5, 0, 1))


class Looks(nn.Module):
    """A trained network that sees each image several times, each time moved a little.

    Its logits are the logarithms of its probabilities, and these are the mean over all
    looks (test-time augmentation: Krizhevsky, Sutskever and Hinton, NIPS 2012). It has no
    parameter of its own; each look costs as much as reading the image once.

    Args:
        network: logits (N, 10) come out of it.
        looks: for each look, how the image is moved: pixels across, pixels down, degrees, zoom.
    """

    def __init__(self, network, looks=FIVE_LOOKS):
        super().__init__()
        self.network = network
        moves = torch.tensor(looks, dtype=torch.float32)
        angle, zoom = torch.deg2rad(moves[:, 2]), moves[:, 3]
        cos, sin = angle.cos() / zoom, angle.sin() / zoom
        across, down = (-2 * moves[:, :2] / 28).T  # affine_grid measures the width as 2
        rows = [torch.stack(row, dim=1) for row in ((cos, -sin, across), (sin, cos, down))]
        self.register_buffer("moves", torch.stack(rows, dim=1), persistent=False)

    def forward(self, images):
        """Logits (N, 10) of normalised images (N, 1, 28, 28)."""
        answers = []
        for move in self.moves:
            grid = F.affine_grid(move.expand(len(images), 2, 3), images.shape, align_corners=False)
            seen = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
            seen = seen.contiguous(memory_format=torch.channels_last)
            answers.append(self.network(seen).float().log_softmax(1))
        return torch.stack(answers).logsumexp(0) - math.log(len(answers))


def fit(
    model,
    train_loader,
    test_loader,
    optimizer,
    scheduler,
    epochs,
    plain_epochs=0,
    checkpoint=None,
    loss_function=None,
    train_epoch=None,
):
    """Train and test for `epochs` epochs, on the loaders' device.

    Args:
        test_loader: None to train without testing; the test columns are NaN then.
        plain_epochs: the last so many epochs see the images as they are, not transformed.
        checkpoint: a path. The run is saved there after every epoch. Called again from
            the same start (same seed, network, data and settings) while that file is
            there, `fit` goes on after the last saved epoch and, on the same CPU with as
            many threads, ends with the same weights, bit for bit. The file is removed
            when training is complete.
        loss_function: see `train`. A checkpoint does not know it: give the same again.
        train_epoch: what trains an epoch, called as `train` is; None for `train`.

    Returns:
        The history, a DataFrame with an index epoch, from 1, and the columns train_loss,
        train_accuracy, test_loss, test_accuracy, learning_rate (after the epoch's last
        step) and seconds. Losses are mean cross-entropies, but train_loss is what the loss
        function gives; accuracies are from 0 to 1.

    Raises:
        ValueError: the checkpoint belongs to another run, or is damaged.
    """
    device = train_loader.device
    model.to(device=device, memory_format=torch.channels_last)
    plain_loader = train_loader.without_transform()
    history = []
    if checkpoint is not None:
        checkpoint = Path(checkpoint)
        run = _fingerprint(model, train_loader, optimizer, scheduler, epochs, plain_epochs)
        if checkpoint.exists():
            history = _resume(checkpoint, run, model, optimizer, scheduler, device)
            print(f"going on after epoch {len(history)}, saved in {checkpoint.name}")
    for epoch in range(len(history) + 1, epochs + 1):
        start = time.perf_counter()
        loader = plain_loader if epoch > epochs - plain_epochs else train_loader
        train_loss, train_accuracy = (train_epoch or train)(
            model, device, loader, optimizer, epoch, scheduler, loss_function
        )
        test_loss = test_accuracy = float("nan")
        if test_loader is not None:
            test_loss, test_accuracy = test(model, device, test_loader)
        history.append(
            {
                "epoch": epoch,
                "train_loss": train_loss,
                "train_accuracy": train_accuracy,
                "test_loss": test_loss,
                "test_accuracy": test_accuracy,
                "learning_rate": optimizer.param_groups[0]["lr"],
                "seconds": time.perf_counter() - start,
            }
        )
        if checkpoint is not None:
            _save(checkpoint, run, model, optimizer, scheduler, history, device)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return pd.DataFrame(history).set_index("epoch")


def make_loss(recipe, teacher=None):
    """The loss that a recipe asks for, as `train` takes it; None for plain cross-entropy."""
    if recipe.teacher is not None:

        def taught(images, logits, targets):
            with torch.no_grad():
                soft = teacher(images)
            return distillation_loss(logits, soft, targets, recipe.temperature, recipe.share)

        return taught
    if recipe.label_smoothing:
        smoothing = {"label_smoothing": recipe.label_smoothing}
        return lambda images, logits, targets: F.cross_entropy(logits, targets, **smoothing)
    return None


def train_network(
    make_network,
    recipe,
    seed,
    train_set,
    test_set,
    device,
    checkpoint=None,
    teacher=None,
    train_epoch=None,
):
    """Train a new network by a recipe, from a seed.

    Args:
        make_network: called without arguments after seeding; returns the network.
        recipe: a `Recipe`.
        train_set: a TensorDataset of uint8 images (N, 28, 28) and labels (N,).
        test_set: the same, tested after every epoch; None to train without testing.
        checkpoint: see `fit`.
        teacher: the trained network that `recipe.teacher` names; logits come out of it.
        train_epoch: see `fit`.

    Returns:
        (network, history), the history as `fit` returns it.

    Raises:
        ValueError: see `fit`; or a checkpoint for averaged weights, which it does not hold;
            or a teacher for a recipe without one, or the reverse.
    """
    if (teacher is None) != (recipe.teacher is None):
        raise ValueError(f"the recipe's teacher is {recipe.teacher}: give that network, or none")
    if checkpoint is not None and recipe.average is not None:
        raise ValueError("a checkpoint holds no averaged weights: train without a checkpoint")
    seed_everything(seed)
    network = make_network().to(device)
    train_loader = TensorLoader(train_set, recipe.batch_size, True, recipe.augmentation, device)
    test_loader = None if test_set is None else TensorLoader(test_set, 1000, device=device)
    optimizer, scheduler = make_optimizer(network, recipe, len(train_loader))
    if recipe.average is not None:
        weigh = get_ema_multi_avg_fn(recipe.average)
        averaged = AveragedModel(network, multi_avg_fn=weigh, use_buffers=True)
        optimizer.register_step_post_hook(lambda *_: averaged.update_parameters(network))
    loaders = (train_loader, test_loader)
    epochs = (recipe.epochs, recipe.plain_epochs)
    if teacher is not None:
        teacher.to(device=device, memory_format=torch.channels_last).eval()
    steps = (optimizer, scheduler, *epochs, checkpoint, make_loss(recipe, teacher), train_epoch)
    history = fit(network, *loaders, *steps)
    changed = []
    if recipe.average is not None:
        network = averaged.module
        changed.append("averaged")
    if recipe.looks is not None:
        network = Looks(network, recipe.looks).to(device)
        changed.append(f"{len(recipe.looks)} looks")
    if changed and test_loader is not None:
        print(", ".join(changed), end=": ")
        measured = test(network, device, test_loader)
        history.loc[recipe.epochs, ["test_loss", "test_accuracy"]] = measured
    return network, history


# --- Going on after a stop ---------------------------------------------------------


def _fingerprint(model, loader, optimizer, scheduler, *epochs):
    """A checksum of all that a run starts from: weights, data, random state, settings."""
    digest = hashlib.sha256()
    tensors = (*model.state_dict().values(), *loader.dataset.tensors, torch.get_rng_state())
    for tensor in tensors:
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    settings = (model, optimizer, type(scheduler).__name__, scheduler.state_dict(), epochs)
    settings += (loader.batch_size, loader.shuffle, loader.transform, loader.device.type)
    digest.update(repr(settings).encode())
    return digest.hexdigest()


def _save(path, run, model, optimizer, scheduler, history, device):
    """Write a checkpoint."""
    state = {
        "run": run,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "history": history,
        "random": torch.get_rng_state(),
    }
    if device.type != "cpu":
        state["device_random"] = getattr(torch, device.type).get_rng_state()
    with replacing(path) as file:
        torch.save(state, file)


def _resume(path, run, model, optimizer, scheduler, device):
    """Put a saved run back in place and return its history."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        saved_run = state["run"]
    except Exception as error:  # noqa: BLE001  whatever a damaged file makes it raise
        raise ValueError(
            f"{path} is not a checkpoint of this lesson, or damaged: {error}"
        ) from None
    if saved_run != run:
        raise ValueError(
            f"{path} holds an unfinished run with another network, seed or setting. "
            "Go back to those, delete the file, or give another name."
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    scheduler.load_state_dict(state["scheduler"])
    torch.set_rng_state(state["random"])
    if device.type != "cpu":
        getattr(torch, device.type).set_rng_state(state["device_random"])
    return state["history"]
