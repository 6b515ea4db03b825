"""A training step as a CUDA graph, for the long runs on a GPU.

A step of these networks is about 200 small kernels. Starting them one by one from Python
takes longer than their work. A CUDA graph records them once and then starts them all with
one call (docs.pytorch.org/docs/stable/notes/cuda.html, "CUDA Graphs"). A `Trainer` takes
the place of `utils.train`, with the same arguments and the same arithmetic; only the random
numbers of a GPU come in another order.
"""

import warnings

import torch
import torch.nn.functional as F

import utils

WARM_UP = 3  # steps before the recording, in which libraries choose and prepare their kernels


class Step:
    """One optimiser step on `size` images: recorded when it is first called, then repeated.

    Args:
        run: what all steps of a training share, a `Training`.
        size: images in the batch.
        loader: a `utils.TensorLoader`, for its images, labels and transform.
    """

    def __init__(self, run, size, loader):
        self.run, self.loader = run, loader
        self.index = torch.zeros(size, dtype=torch.int64, device=run.device)
        self.graph = None

    def compute(self):
        """The step itself, on tensors that keep their place in memory."""
        run = self.run
        images, targets = self.loader.batch(self.index)
        with run.autocast():
            logits = run.model(images)
            if run.loss_function is None:
                loss = F.cross_entropy(logits, targets)
            else:
                loss = run.loss_function(images, logits, targets)
        gradients = torch.autograd.grad(loss, run.parameters)
        run.update(gradients)
        run.losses += loss.detach() * len(targets)
        run.correct += (logits.argmax(1) == targets).sum()

    def record(self):
        """Record the step; everything that it changes is as before afterwards."""
        run = self.run
        tensors = [*run.model.state_dict().values(), *run.momenta, run.losses, run.correct]
        before = [tensor.clone() for tensor in tensors]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self.compute()
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.compute()
        for tensor, value in zip(tensors, before):
            tensor.copy_(value)

    def __call__(self, index):
        """Train on the images with these indices, int64 (size,)."""
        self.index.copy_(index)
        if self.run.device.type != "cuda":  # nothing to record: for the tests
            self.compute()
            return
        if self.graph is None:
            self.record()
        self.graph.replay()


class Training:
    """What the recorded steps of one network's training share: tensors that stay in place."""

    def __init__(self, model, device, optimizer, loss_function):
        self.model, self.device, self.loss_function = model, device, loss_function
        self.optimizer = optimizer
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.momenta = [torch.zeros_like(p) for p in self.parameters]
        self.losses, self.correct, self.rate, self.momentum = torch.zeros(4, device=device)
        self.steps = {}

    def autocast(self):
        """As `utils.autocast`, but without a cache of converted weights, which would go stale."""
        context = utils.autocast(self.device)
        if isinstance(context, torch.autocast):
            return torch.autocast(self.device.type, context.fast_dtype, cache_enabled=False)
        return context

    @torch.no_grad()
    def update(self, gradients):
        """SGD as `torch.optim.SGD` does it, with rate and momentum read from tensors."""
        group = self.optimizer.param_groups[0]
        gradients = torch._foreach_add(gradients, self.parameters, alpha=group["weight_decay"])
        torch._foreach_mul_(self.momenta, self.momentum)
        torch._foreach_add_(self.momenta, gradients)
        if group["nesterov"]:
            steps = torch._foreach_mul(self.momenta, self.momentum)
            torch._foreach_add_(steps, gradients)
            torch._foreach_mul_(steps, self.rate)
        else:
            steps = torch._foreach_mul(self.momenta, self.rate)
        torch._foreach_sub_(self.parameters, steps)

    def step(self, index, loader):
        """Train on the images with these indices."""
        group = self.optimizer.param_groups[0]
        self.rate.fill_(group["lr"])
        self.momentum.fill_(group["momentum"])
        key = (len(index), loader.transform)
        if key not in self.steps:
            self.steps[key] = Step(self, len(index), loader)
        self.steps[key](index)


class Trainer:
    """Trains epoch after epoch of one run, as `utils.train` does, without a progress bar."""

    def __init__(self):
        self.run = None

    def __call__(
        self, model, device, train_loader, optimizer, epoch, scheduler=None, loss_function=None
    ):
        """Train for one epoch; arguments and result are those of `utils.train`."""
        model.train()
        if self.run is None:
            self.run = Training(model, device, optimizer, loss_function)
        run = self.run
        run.losses.zero_()
        run.correct.zero_()
        order = torch.randperm(len(train_loader.labels), device=device)
        with warnings.catch_warnings():  # the scheduler misses calls of optimizer.step
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
            for index in order.split(train_loader.batch_size):
                run.step(index, train_loader)
                if scheduler is not None:
                    scheduler.step()
        count = len(train_loader.dataset)
        return run.losses.item() / count, run.correct.item() / count


def trainer(device, recipe):
    """What trains an epoch: CUDA graphs on a GPU, else `utils.train`.

    Averaged weights are collected by a hook of the optimiser, which a graph would not call.
    """
    return Trainer() if device.type == "cuda" and recipe.average is None else utils.train
