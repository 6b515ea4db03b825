"""What people's code calculates in place of the right numbers of a layer: exercises 2.1 to 2.3.

Each slip has the words in which a student is told, and what it gives.
"""

import math

import torch.nn.functional as F

# --- 2.1: a convolution --------------------------------------------------------------


def cross_correlation(image, kernel, padding=0):
    """What `convolve` should return: PyTorch's own."""
    return F.conv2d(image[None, None], kernel[None, None], padding=padding)[0, 0]


def convolution_slips(image, kernel):
    """Words → tensor."""
    right = cross_correlation(image, kernel)
    height, width = kernel.shape
    slips = {
        "this is cross-correlation with a flipped kernel; here the kernel is not flipped": (
            cross_correlation(image, kernel.flip(0, 1))
        ),
        "the kernel is turned upside down": cross_correlation(image, kernel.flip(0)),
        "the kernel is mirrored, left to right": cross_correlation(image, kernel.flip(1)),
        "rows and columns of the result are exchanged": right.T,
        "add the products up; do not take their mean": right / kernel.numel(),
        "only the last product is kept: add all of them up, with += in place of =": (
            image[height - 1 :, width - 1 :] * kernel[-1, -1]
        ),
        "the sum must start at 0 for every position": right.ravel().cumsum(0).view_as(right),
        "the sum must start at 0 for every position, not for every row": right.cumsum(1),
        "the sign is flipped": -right,
        "the last row and the last column are missing": right[:-1, :-1],
        "the last row is missing": right[:-1],
        "the last column is missing": right[:, :-1],
        "the image was padded; valid means that the kernel never leaves the image": (
            cross_correlation(image, kernel, (height // 2, width // 2))
        ),
        "the image was padded by 1; valid means that the kernel never leaves the image": (
            cross_correlation(image, kernel, 1)
        ),
        "the kernel leaves the image on all sides; valid means that it never does": (
            cross_correlation(image, kernel, (height - 1, width - 1))
        ),
    }
    if height == width:
        product = (image.unfold(0, height, 1).unfold(1, width, 1) @ kernel).sum((2, 3))
        slips["rows and columns of the kernel are exchanged"] = cross_correlation(image, kernel.T)
        slips["multiply value by value (*), not as matrices (@)"] = product
    return slips


def wrong_sizes(found, image, kernel):
    """Words → the answer itself where its shape shows the slip, NaN where it contradicts it.

    A slip that gives the right shape is left out if the answer has that shape, too: it says
    nothing about the numbers.
    """
    (rows, columns), (height, width) = image.shape, kernel.shape
    right = (rows - height + 1, columns - width + 1)
    shapes = {
        "one row and one column are missing": (rows - height, columns - width),
        "there is a row and a column too many": (rows - height + 2, columns - width + 2),
        "the kernel's height is also used as its width": (right[0], columns - height + 1),
        "the kernel's width is also used as its height": (rows - width + 1, right[1]),
        "the image's height is also used as its width": (right[0], rows - width + 1),
        "the image's width is also used as its height": (columns - height + 1, right[1]),
        "rows and columns are exchanged": right[::-1],
        "the result is as large as the image; valid means that it is smaller": (rows, columns),
    }
    return {
        words: found if shape == found.shape else math.nan
        for words, shape in shapes.items()
        if not shape == right == found.shape
    }


# --- 2.2: its sizes ------------------------------------------------------------------

# Words → function, all with the arguments of the right one. n, k, s, p: size, kernel, stride,
# padding. i, o, k, b: in_channels, out_channels, kernel, bias.
OUTPUT_SIZE_SLIPS = {
    "round down": lambda n, k, s=1, p=0: (n + 2 * p - k) / s + 1,
    "round down, not to the nearest": lambda n, k, s=1, p=0: round((n + 2 * p - k) / s) + 1,
    "round down, not up": lambda n, k, s=1, p=0: -((k - n - 2 * p) // s) + 1,
    "padding is added on both sides": lambda n, k, s=1, p=0: (n + p - k) // s + 1,
    "the padding is forgotten": lambda n, k, s=1, p=0: (n - k) // s + 1,
    "the padding is subtracted": lambda n, k, s=1, p=0: (n - 2 * p - k) // s + 1,
    "the stride is forgotten": lambda n, k, s=1, p=0: n + 2 * p - k + 1,
    "the first position counts, too": lambda n, k, s=1, p=0: (n + 2 * p - k) // s,
    "add the 1 after the division": lambda n, k, s=1, p=0: (n + 2 * p - k + 1) // s,
    "divide n + 2·p − k, not only k": lambda n, k, s=1, p=0: n + 2 * p - k // s + 1,
    "this is the size with padding 'same'": lambda n, k, s=1, p=0: -(-n // s),
}

PARAMETERS_SLIPS = {
    "the biases are forgotten": lambda i, o, k, b=True: o * i * k * k,
    "bias=False is ignored": lambda i, o, k, b=True: o * (i * k * k + 1),
    "bias works the wrong way round": lambda i, o, k, b=True: o * (i * k * k + (not b)),
    "there is a bias for each output channel": lambda i, o, k, b=True: o * i * k * k + b,
    "a bias belongs to an output channel, not to an input channel": (
        lambda i, o, k, b=True: (o * k * k + b) * i
    ),
    "an output channel has one bias, not one for each input channel": (
        lambda i, o, k, b=True: o * i * (k * k + b)
    ),
    "an output channel has one bias, not one for each weight": (
        lambda i, o, k, b=True: o * i * k * k * (1 + b)
    ),
    "a kernel has k·k weights for each input channel": lambda i, o, k, b=True: o * (i * k + b),
    "the input channels are forgotten": lambda i, o, k, b=True: o * (k * k + b),
    "the output channels are forgotten": lambda i, o, k, b=True: i * k * k + b,
}


def receptive_field(layers):
    """What `receptive_field` should return. It goes back from one value of the last layer."""
    field = 1
    for kernel, stride in reversed(layers):
        field = (field - 1) * stride + kernel
    return field


def _field_slip(start=1, less=1, step_before=lambda step, stride: step, grow=int.__mul__):
    """A mistaken `receptive_field`.

    Args:
        start: the field before the first layer.
        less: what is subtracted from each kernel.
        step_before: of a layer's step and its stride, what its kernel is multiplied with.
        grow: of a layer's step and its stride, the next layer's step.
    """

    def mistaken(layers):
        field, step = start, 1
        for kernel, stride in layers:
            field += (kernel - less) * step_before(step, stride)
            step = grow(step, stride)
        return field

    return mistaken


FIELD_SLIPS = {
    "the strides are forgotten": _field_slip(grow=lambda step, stride: 1),
    "a layer's own stride counts only for the layers after it": (
        _field_slip(step_before=int.__mul__)
    ),
    "all strides before a layer count, not only the last": (
        _field_slip(grow=lambda step, stride: stride)
    ),
    "the strides before a layer are multiplied, not added": _field_slip(grow=int.__add__),
    "before the first layer, the field is 1": _field_slip(start=0),
    "a kernel of k adds k − 1, not k": _field_slip(less=0),
    "the first kernel sees k inputs; each later one adds k − 1, not k": _field_slip(0, 0),
    "the layers are taken in reverse order": lambda layers: receptive_field(layers[::-1]),
}

# --- 2.3: batch normalisation --------------------------------------------------------


def batch_norm_slips(x, layer):
    """Words → the output.

    Args:
        layer: an nn.BatchNorm2d as it was before, in training or in evaluation mode.
    """
    mean, variance = x.mean((0, 2, 3), keepdim=True), _variance(x, (0, 2, 3))
    gamma, beta, old_mean, old_variance = (
        values.view(1, -1, 1, 1)
        for values in (layer.weight, layer.bias, layer.running_mean, layer.running_var)
    )
    batch, running = (mean, variance), (old_mean, old_variance)
    used, other, whose, when = (
        (batch, running, "running statistics are", "training")
        if layer.training
        else (running, batch, "batch's own statistics are", "evaluation")
    )
    root = (used[1] + layer.eps).sqrt()

    def output(mean, divisor):
        return (x - mean) / divisor * gamma + beta

    slips = {
        f"the {whose} used in {when}": output(other[0], (other[1] + layer.eps).sqrt()),
        "eps belongs under the root": output(used[0], used[1].sqrt() + layer.eps),
        "eps is forgotten, or not the one given": output(used[0], (used[1] + 1e-5).sqrt()),
        "the root is forgotten": output(used[0], used[1] + layer.eps),
        "gamma and beta are forgotten": (x - used[0]) / root,
        "gamma is forgotten": (x - used[0]) / root + beta,
        "beta is forgotten": (x - used[0]) / root * gamma,
        "gamma and beta are exchanged": (x - used[0]) / root * beta + gamma,
        "the mean is not subtracted": output(0, root),
    }
    return slips | (_training_slips(x, layer, batch, running, output) if layer.training else {})


def _training_slips(x, layer, batch, running, output):
    count, share = x[:, 0].numel(), layer.momentum
    unbiased = batch[1] * count / (count - 1)
    new_mean = (1 - share) * running[0] + share * batch[0]
    new_variance = (1 - share) * running[1] + share * unbiased

    def normalise(mean, variance):
        return output(mean, (variance + layer.eps).sqrt())

    def over(*dims):
        return normalise(x.mean(dims, keepdim=True), _variance(x, dims))

    take = "take them over N, H and W"
    return {
        "normalise with the variance divided by N·H·W": normalise(batch[0], unbiased),
        f"mean and variance are taken over H and W; {take}": over(2, 3),
        f"mean and variance are taken over C, H and W; {take}": over(1, 2, 3),
        f"mean and variance are taken over N; {take}": over(0),
        f"mean and variance are taken over N and C; {take}": over(0, 1),
        "mean and variance are taken over everything; each channel has its own": over(0, 1, 2, 3),
        "the running statistics, already changed, are used in training": (
            normalise(new_mean, new_variance)
        ),
        "the running mean is used in training": normalise(running[0], batch[1]),
        "the running variance is used in training": normalise(batch[0], running[1]),
    }


def running_slips(name, x, layer):
    """Words → the running statistics of that name, after the call. Arguments as above."""
    old, share = getattr(layer, name), layer.momentum
    biased = _variance(x, (0, 2, 3)).ravel()
    unbiased = x.var((0, 2, 3), correction=1)
    new = x.mean((0, 2, 3)) if name == "running_mean" else unbiased
    if not layer.training:
        slips = {f"{name} is changed in evaluation": old + share * (new - old)}
        if name == "running_var":
            words = "running_var is changed in evaluation, with the variance divided by N·H·W"
            slips[words] = old + share * (biased - old)
        return slips
    divided = "running_var takes the variance divided by N·H·W − 1"
    reverse = f"momentum is the share of the batch, not of the old {name}"
    slips = {
        f"{name} is as it was: change it in place": old,
        reverse: new + share * (old - new),
        f"{name} becomes that of the batch; it should move by the share momentum": new,
        f"the old {name} keeps only the share 1 − momentum": old + share * new,
        "momentum is not the one given": old + 0.1 * (new - old),
        f"{name} is changed twice": old + (1 - (1 - share) ** 2) * (new - old),
    }
    if name == "running_var":
        slips |= {
            divided: old + share * (biased - old),
            f"{reverse}, and {divided}": biased + share * (old - biased),
            "running_var takes the variance, not its root": old + share * (unbiased.sqrt() - old),
        }
    return slips


def _variance(x, dims):
    """The mean square deviation, divided by the number of values."""
    return x.var(dims, correction=0, keepdim=True)
