"""Sums of losses of a softmax on a CUDA device, by Triton kernels that enlarge logits in registers alone.

The enlarged (B, K, H, W) tensor never exists, as in bands, and few kernels are launched, as without them. Memory: a few
maps (B, H, W) and two gradients of the coarse logits. No two programs add to one number: results are the same in every
run, whatever `trainer.deterministic` is. B images, K classes, h x w logits, H x W the ground truth.
"""

from __future__ import annotations

import importlib.util
import warnings
from functools import cache, lru_cache
from types import ModuleType
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from densepred.contracts import SummedLoss
from densepred.errors import Notice
from densepred.nn import ceil_div
from densepred.ops.loss.cross_entropy import CrossEntropyTerm, cross_entropy_sums
from densepred.ops.loss.softmax import Coefficients, SoftmaxBand, SoftmaxLoss
from densepred.ops.resize.bands import row_taps
from densepred.ops.resize.resample import resize, two_channels
from densepred.types import VOID

PIXELS, MOST_ROWS = 512, 8
"""Pixels of a program, and the most rows of them: these share what is read of the logits."""

LOCATIONS, STRIP = 256, 8
"""Values of the coarse gradient that a program holds at once, and the coarse rows that it walks down."""

TILES = (2, 4, 8)
"""Numbers of classes of a program."""


@cache
def installed() -> bool:
    """Return True if Triton can be imported; torch brings it on Linux."""
    return importlib.util.find_spec("triton") is not None


def chosen(loss: SummedLoss, logits: Tensor) -> TypeGuard[SoftmaxLoss]:
    """Return True if the kernels compute this loss: of a softmax, on a CUDA device, of logits up to float32."""
    if logits.device.type != "cuda" or not installed() or not isinstance(loss, SoftmaxLoss):
        return False
    fitting = logits.dtype in (torch.float32, torch.bfloat16, torch.float16) and logits.numel() > 0
    return loss.fused and fitting and works(logits.device)


@cache
def works(device: torch.device) -> bool:
    """Return True if kernels run on a device and agree with torch on a few pixels; else give a notice, once."""
    try:
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
            reason = None if _agrees(device) else "results differ from those of torch"
    except Exception as error:  # whatever a compiler, a driver or a folder of compiled kernels raises
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    if reason is not None:
        warnings.warn(
            f"trainer.fused_loss: Triton fails on {device} ({reason}), so operations of torch compute losses; "
            "Triton needs a C compiler and the headers of Python, or set trainer.fused_loss=false",
            Notice,
            stacklevel=2,
        )
    return reason is None


def _agrees(device: torch.device) -> bool:
    logits = torch.arange(12.0, device=device).sin().view(1, 3, 2, 2).requires_grad_()
    target = torch.tensor([[[0, 1, 2], [VOID, 2, 0], [1, 1, 0]]], dtype=torch.uint8).to(device)
    wanted = cross_entropy_sums(resize(logits, (3, 3)), target, None, None, 0.0)
    (gradient,) = torch.autograd.grad(wanted[:, 0].sum(), logits)
    with torch.cuda.device_of(logits):
        softmax = FusedSoftmax(logits.detach(), target, None, align_corners=False)
        band = SoftmaxBand(softmax, [CrossEntropyTerm(softmax, None, 0.0)])
        pairs = (band.sums(), wanted), (band.gradient(torch.ones_like(wanted)), gradient)
        return all(torch.allclose(found, other, rtol=1e-4, atol=1e-5) for found, other in pairs)


def sums(loss: SoftmaxLoss, logits: Tensor, target: Tensor, weight: Tensor | None, align_corners: bool) -> Tensor:
    """Return `loss.statistics(resize(logits, target.shape[-2:], align_corners), target, weight)`, differentiable.

    logits: (B, K, h, w) float32, bfloat16 or float16
    target: (B, H, W) of an integer type
    weight: (B, H, W), or a view of this shape
    result: (B, S) float32
    """
    with torch.autocast(logits.device.type, enabled=False):
        return _Sums.apply(two_channels(logits), loss, target, weight, align_corners)


class _Sums(torch.autograd.Function):
    """The terms of a loss on maps of the softmax, as in a band that covers whole images."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]: torch types it (ctx, *args)
        ctx: Any, logits: Tensor, loss: SoftmaxLoss, target: Tensor, weight: Tensor | None, align_corners: bool
    ) -> Tensor:
        with torch.cuda.device_of(logits):
            softmax = FusedSoftmax(logits.detach(), target, weight, align_corners)
            band = SoftmaxBand(softmax, loss.terms(softmax))
            found = band.sums()
        ctx.band = band if ctx.needs_input_grad[0] else None
        ctx.save_for_backward(logits)  # torch refuses the backward pass if they are overwritten before it
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (logits,) = ctx.saved_tensors
        with torch.cuda.device_of(logits), torch.autocast(logits.device.type, enabled=False):
            return ctx.band.gradient(grad), None, None, None, None


class Grid(NamedTuple):
    """Where the pixels of an axis lie between coarse locations, on a device."""

    first: Tensor  # (pixels,) int32
    second: Tensor  # (pixels,) int32
    share: Tensor  # (pixels,) float32, of the second
    begin: Tensor  # (locations + 1,) int32: the first pixel with a first location of at least this


class Runs(NamedTuple):
    """Pixels of an axis in runs with one first location, of a limited length."""

    starts: Tensor  # (runs,) int32
    counts: Tensor  # (runs,) int32


@lru_cache(maxsize=32)
def grid(source: int, size: int, align_corners: bool, device: torch.device) -> Grid:
    first, second, share = (torch.tensor(values) for values in row_taps(source, size, align_corners, torch.float32))
    begin = torch.searchsorted(first, torch.arange(source + 1))
    return Grid(
        first.to(device, torch.int32),
        second.to(device, torch.int32),
        share.to(device, torch.float32),
        begin.to(device, torch.int32),
    )


@lru_cache(maxsize=32)
def runs(source: int, size: int, align_corners: bool, most: int, device: torch.device) -> Runs:
    first = row_taps(source, size, align_corners, torch.float32)[0]
    starts, counts = list[int](), list[int]()
    for y, location in enumerate(first):
        if not starts or first[starts[-1]] != location or counts[-1] == most:
            starts.append(y)
            counts.append(0)
        counts[-1] += 1
    return Runs(*(torch.tensor(values, dtype=torch.int32, device=device) for values in (starts, counts)))


@cache
def kernels() -> ModuleType:
    from densepred.ops.loss import fused_kernels  # needs Triton

    return fused_kernels


class FusedSoftmax:
    """The softmax of enlarged logits, for the terms of a loss: see `softmax.Probabilities`."""

    def __init__(self, logits: Tensor, target: Tensor, weight: Tensor | None, align_corners: bool) -> None:
        size = (int(target.shape[-2]), int(target.shape[-1]))
        source = (int(logits.shape[-2]), int(logits.shape[-1]))
        if torch.empty_like(logits).stride() != logits.stride():  # a view with gaps
            logits = logits.contiguous()
        self.logits, self.target, self.classes = logits, target.contiguous(), logits.shape[1]
        self.like = torch.empty((), device=logits.device).expand(logits.shape[0], self.classes, 1, 1)
        self.source, self.size, self.same = source, size, source == size
        device, stride = logits.device, max(1, size[0] // source[0])
        self.many = min(MOST_ROWS, _power(stride))
        self.wide = min(PIXELS // self.many, 2 * _power(size[1]))
        self.runs = runs(source[0], size[0], align_corners, self.many, device)
        self.rows = grid(source[0], size[0], align_corners, device)
        self.columns = grid(source[1], size[1], align_corners, device)
        self.normaliser, self.log_truth, self.weight = (
            torch.empty(target.shape, dtype=torch.float32, device=device) for _ in range(3)
        )
        given = self.target if weight is None else weight.contiguous()
        out = (self.normaliser, self.log_truth, self.weight)
        self._launch(kernels().score, self.target, given, *out, WEIGHTED=weight is not None)

    @property
    def labels(self) -> Tensor:
        return torch.where(self.target == VOID, 0, self.target.long())

    @property
    def truth(self) -> Tensor:
        return self.log_truth.exp()

    @property
    def rest(self) -> Tensor:
        return self.log_truth.expm1().neg_()

    def overlaps(self) -> Tensor:
        programs = len(self.runs.starts) * ceil_div(self.size[1], self.wide)
        areas = self.like.new_empty(len(self.logits), programs, 3 * self.classes)
        self._launch(kernels().overlaps, self.target, self.normaliser, self.weight, areas)
        return areas.sum(1, dtype=torch.float64).float()

    def mean(self, by: Tensor) -> Tensor:
        return self._mean(by, logarithm=False)

    def mean_log(self, by: Tensor) -> Tensor:
        return self._mean(by.expand(len(self.logits), -1), logarithm=True)

    def _mean(self, by: Tensor, logarithm: bool) -> Tensor:
        out = torch.empty_like(self.weight)
        self._launch(kernels().mean, self.normaliser, by.contiguous(), out, LOGARITHM=logarithm)
        return out

    def _launch(self, kernel: Any, *tensors: Tensor, **flags: bool) -> None:
        """Start a program for every few columns of every run of rows."""
        rows, columns = self.rows, self.columns
        tables = (rows.first, rows.second, rows.share, columns.first, columns.second, columns.share)
        blocks = (ceil_div(self.size[1], self.wide), len(self.runs.starts), len(self.logits))
        numbers = (self.classes, *self.size, *self.logits.stride())
        # Warps lie side by side, so that each thread has all rows of its columns.
        shape = {"ROWS": self.many, "COLUMNS": self.wide, "num_warps": min(4, max(1, self.wide // 32))}
        kernel[blocks](self.logits, *tensors, *self.runs, *tables, *numbers, **flags, **shape)

    def gradient(self, by: Coefficients) -> Tensor:
        """Return the gradient by the coarse logits, in their layout and precision."""
        maps = (self.target, self.normaliser, self.weight, by.pixel.contiguous(), by.truth.contiguous())
        extra = [self.weight if values is None else values.contiguous() for values in (by.classes, by.constant)]
        flags = {"BY_CLASS": by.classes is not None, "CONSTANT": by.constant is not None}
        gradient = torch.empty_like(self.logits)
        strides, tile = gradient.stride(), classes_per_program(self.classes)
        numbers = (self.classes, *self.source, *strides)
        cells = LOCATIONS // tile
        blocks = ceil_div(self.classes, tile)
        if self.same:
            flat = (ceil_div(self.source[0] * self.source[1], cells), blocks, len(gradient))
            kernels().slope[flat](self.logits, *maps, *extra, gradient, *numbers, **flags, TILE=tile, CELLS=cells)
            return gradient
        left, right = (self.like.new_empty(gradient.shape) for _ in range(2))
        tables = (self.rows.begin, self.rows.share, self.columns.begin, self.columns.share)
        across = min(cells, 2 * _power(self.source[1]))
        where = (ceil_div(self.source[1], across), ceil_div(self.source[0], STRIP), len(gradient) * blocks)
        kernels().adjoint[where](
            self.logits, *maps, *extra, left, right, *tables, self.classes, *self.size, *self.source,
            *self.logits.stride(), **flags, TILE=tile, CELLS=across, STRIP=STRIP, num_warps=2,
        )  # fmt: skip
        flat = (ceil_div(self.source[0] * self.source[1], cells), blocks, len(gradient))
        kernels().join[flat](left, right, gradient, *numbers, TILE=tile, CELLS=cells)
        return gradient


def classes_per_program(classes: int) -> int:
    """Return the number that costs least: few idle ones in the last program, and few readings of each pixel's maps."""
    return min(TILES, key=lambda tile: ceil_div(classes, tile) * (tile * 12 + 25))


def _power(number: int) -> int:
    """Return the largest power of two up to a number."""
    return 1 << (number.bit_length() - 1)
