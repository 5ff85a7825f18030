"""Layers shared by networks: convolution, norm and activation by name, initial weights; checks of settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densepred.errors import UserError, suggest
from densepred.types import ChannelAxes, HeadSpec


@contextmanager
def matmul_precision(precision: str, device: str) -> Iterator[None]:
    """Compute matrix products of float32 at this precision of `torch.set_float32_matmul_precision`.

    "high" is TF32, with three digits: enough for a network, not for coordinates, sizes of boxes and sums of losses. On
    the CPU nothing changes.
    """
    before = torch.get_float32_matmul_precision()
    if device != "cpu":
        torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        if device != "cpu":
            torch.set_float32_matmul_precision(before)


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm that uses its running statistics if there is one value per channel, so that batch 1 trains.

    It counts batches on the host: `engine.foreach.count_batches` adds up those of all norms by one kernel. A compiled
    network counts by itself, because its checkpointed blocks may change tensors alone.
    """

    uncounted = 0  # batches that `num_batches_tracked` lacks

    def forward(self, input: Tensor) -> Tensor:
        training = self.training and input.numel() > self.num_features
        if training and torch.compiler.is_compiling():
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
        else:
            self.uncounted += training
        rate = (1 / self._seen() if self.momentum is None else self.momentum) if training else 0.0
        running = self.running_mean, self.running_var
        return F.batch_norm(input, *running, self.weight, self.bias, training, rate, self.eps)

    def _seen(self) -> int:
        assert self.num_batches_tracked is not None
        return int(self.num_batches_tracked) + self.uncounted

    def _save_to_state_dict(self, *arguments: Any, **options: Any) -> None:
        if self.uncounted and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(self.uncounted)
            self.uncounted = 0
        super()._save_to_state_dict(*arguments, **options)


class GroupNorm(nn.GroupNorm):
    """Group norm for maps of any size: a group of one value becomes the bias, where `nn.GroupNorm` raises."""

    def forward(self, input: Tensor) -> Tensor:
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


def _groups(channels: int) -> GroupNorm:
    """Return a group norm of at most 32 groups, of at least 4 channels each."""
    return GroupNorm(math.gcd(channels, min(32, max(1, channels // 4))), channels)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": BatchNorm2d,
    "group": _groups,
    "instance": lambda channels: GroupNorm(channels, channels),
    "none": lambda channels: nn.Identity(),
}

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.01, inplace=True),
    "elu": lambda: nn.ELU(inplace=True),
    "gelu": nn.GELU,
    "silu": lambda: nn.SiLU(inplace=True),
    "mish": lambda: nn.Mish(inplace=True),
    "none": nn.Identity,
}


def choose(what: str, name: object, known: Collection[object]) -> None:
    """Raise UserError, with the closest name, unless `name` is known."""
    if name in known:
        return
    names = [str(one) for one in known]
    guess = suggest(str(name), names, "")
    raise UserError(f"unknown {what}: {name}; {guess}{' ' if guess else ''}choose one of {', '.join(names)}")


def require_fraction(value: float, key: str) -> float:
    """Return a number from 0 to 1; raise UserError for any other."""
    if not 0 <= value <= 1:
        raise UserError(f"{key}: {value}; give a number from 0 to 1")
    return value


def require_at_least_zero(value: float, key: str) -> float:
    """Return a number that is not negative; raise UserError for any other, NaN too."""
    if not value >= 0:
        raise UserError(f"{key}: {value}; give 0 or more")
    return value


def require_odd(key: str, kernel: int) -> None:
    """Raise UserError for a kernel that would move pixels: only odd ones have a center."""
    if kernel < 1 or kernel % 2 == 0:
        raise UserError(f"{key}: {kernel}; give an odd number, so that pixels stay in place")


def make_norm(name: str, channels: int) -> nn.Module:
    choose("norm", name, NORMS)
    return NORMS[name](channels)


def make_activation(name: str) -> nn.Module:
    choose("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()


class ConvNormAct(nn.Sequential):
    """A convolution that keeps the size, its norm and its activation. The bias is the norm's, if there is one."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        norm: str = "batch",
        activation: str = "relu",
        layer: type[nn.Conv2d] = nn.Conv2d,
    ) -> None:
        padding = dilation * (kernel // 2)
        conv = layer(in_channels, out_channels, kernel, stride, padding, dilation, bias=norm == "none")
        super().__init__(conv, make_norm(norm, out_channels), make_activation(activation))


class SeparableConvNormAct(nn.Sequential):
    """A depthwise convolution, then a 1x1 convolution, norm and activation.

    `between` also puts norm and activation after the first, as DeepLabV3+'s paper does (arXiv 1802.02611).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        *,
        dilation: int = 1,
        norm: str = "batch",
        activation: str = "relu",
        between: bool = True,
    ) -> None:
        padding = dilation * (kernel // 2)
        own = nn.Conv2d(in_channels, in_channels, kernel, 1, padding, dilation, in_channels, bias=norm == "none")
        extra = (make_norm(norm, in_channels), make_activation(activation)) if between else ()
        whole = nn.Sequential(own, *extra, nn.Conv2d(in_channels, out_channels, 1, bias=norm == "none"))
        super().__init__(whole, make_norm(norm, out_channels), make_activation(activation))


def two_convs(in_channels: int, out_channels: int, norm: str, activation: str) -> nn.Sequential:
    """Return the block of U-Net (arXiv 1505.04597): two 3x3 convolutions."""
    widths = (in_channels, out_channels)
    return nn.Sequential(*(ConvNormAct(width, out_channels, norm=norm, activation=activation) for width in widths))


class Residual(nn.Module):
    """The basic block of ResNet (arXiv 1512.03385): two 3x3 convolutions beside a shortcut, 1x1 if widths differ."""

    def __init__(self, in_channels: int, out_channels: int, norm: str, activation: str) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNormAct(in_channels, out_channels, norm=norm, activation=activation),
            ConvNormAct(out_channels, out_channels, norm=norm, activation="none"),
        )
        project = partial(ConvNormAct, kernel=1, norm=norm, activation="none")
        self.shortcut = nn.Identity() if in_channels == out_channels else project(in_channels, out_channels)
        self.activation = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.body(x) + self.shortcut(x))


BLOCKS: dict[str, Callable[[int, int, str, str], nn.Module]] = {"plain": two_convs, "residual": Residual}


def make_block(name: str, in_channels: int, out_channels: int, norm: str, activation: str) -> nn.Module:
    """Return two convolutions by name, plain or residual; raise UserError for another name."""
    choose("block", name, BLOCKS)
    return BLOCKS[name](in_channels, out_channels, norm, activation)


class Normalise(nn.Module):
    """Normalisation of images by a mean and a standard deviation per channel, for a model to inherit.

    The buffers are the model's own, so its state dict holds them as `mean` and `std`: (C, 1, 1) float32.
    """

    mean: Tensor
    std: Tensor

    def register_statistics(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Register the buffers; one number per channel, for images in [0, 1]."""
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(tuple(values)).view(-1, 1, 1))

    def normalise(self, image: Tensor) -> Tensor:
        """Subtract the mean of images (B, C, H, W) and divide by the standard deviation."""
        return (image - self.mean) / self.std

    def denormalise(self, image: Tensor) -> Tensor:
        """Undo `normalise`."""
        return image * self.std + self.mean


def ceil_div(length: int, stride: int) -> int:
    """Return ceil(length / stride) for positive numbers.

    ONNX rounds quotients towards zero: the usual -(-length // stride) would be one less in an exported model.
    """
    return (length + stride - 1) // stride


def exponential(x: Tensor) -> Tensor:
    """Return exp(x) in float32, at most e^9 (some 8000, within half precision): for lengths of any magnitude."""
    return x.float().clamp(max=9).exp()


def initialise(module: nn.Module) -> None:
    """Apply He initialisation (arXiv 1502.01852) to every convolution of `module`; norms begin as identities."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def initialise_head(conv: nn.Conv2d, spec: HeadSpec, std: float | None = None) -> None:
    """Initialise the last convolution of a head; its bias begins at the logit of the head's prior, else at zero.

    Values to regress begin near zero (HRNet, arXiv 1902.09212), logits of a softmax at the scale of their input.
    `std` replaces both by a normal distribution.
    """
    if std is None and spec.kind == "classes":
        nn.init.xavier_uniform_(conv.weight)
    else:
        nn.init.normal_(conv.weight, std=0.001 if std is None else std)
    assert conv.bias is not None
    prior = 0.5 if spec.prior is None else spec.prior
    nn.init.constant_(conv.bias, math.log(prior / (1 - prior)))


def output_axes(conv: nn.Module, place: str, head: str) -> ChannelAxes:
    """Return the axes of a head's last convolution at `place` of a model: one row of weight and bias per channel."""
    return {f"{place}.{name}": {0: (head,)} for name, _ in conv.named_parameters()}


def input_axes(first: nn.Module, place: str, parts: tuple[str | int, ...]) -> ChannelAxes:
    """Return the axes of a module with the input channels `parts`: up to its first convolution that mixes channels.

    A depthwise convolution and the norm behind it have one row per input channel.
    """
    found: ChannelAxes = {}
    for name, part in first.named_modules(prefix=place):
        if isinstance(part, nn.Conv2d) and part.groups == 1:
            return {**found, f"{name}.weight": {1: parts}}
        if not list(part.children()):
            found |= {f"{name}.{key}": {0: parts} for key, value in part.state_dict().items() if value.ndim}
    return found


class Levels(nn.Identity):
    """The levels of a model that has no `Encoder`, as a module: ablations replace what it returns."""

    def __init__(self, strides: Sequence[int]) -> None:
        super().__init__()
        self.strides = tuple(strides)
