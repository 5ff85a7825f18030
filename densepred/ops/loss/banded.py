"""Sums of a loss over pixels, from logits coarser than the ground truth, one band of rows at a time.

The enlarged (B, K, H, W) tensor, its softmax and its gradient never exist: a band is enlarged, summed, differentiated
and forgotten, and only the gradient of the coarse logits stays. On a CUDA device logits are enlarged as a whole where
that takes a small part of its memory: see `fits`. Losses of a softmax have kernels of their own there: see `fused`.
B images, K channels, S sums, h x w logits, H x W the ground truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from densepred.contracts import Band, SummedLoss
from densepred.nn import matmul_precision
from densepred.ops.loss import fused
from densepred.ops.loss.labels import aligned
from densepred.ops.loss.left_out import leave_out_coarse
from densepred.ops.resize.bands import Enlarger
from densepred.ops.resize.resample import pieces, resize, two_channels

COPIES, PART = 4, 8
"""Tensors as large as the enlarged logits that exist at once, and the fraction of a device that they may fill: 1/8."""


def sums(
    loss: SummedLoss,
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    align_corners: bool = False,
    distance: Tensor | None = None,
    kernels: bool = True,
) -> Tensor:
    """Return `loss.statistics(resize(logits, target.shape[-2:], align_corners), target, weight)`, differentiable.

    logits: (B, K, h, w)
    result: (B, S), at least float32
    `distance` is passed to a loss with `loss.distance`. Without `kernels` torch alone computes.
    """
    if kernels and fused.chosen(loss, logits):
        return fused.sums(loss, logits, target, None if weight is None else aligned(weight, target), align_corners)
    logits = leave_out_coarse(logits, loss.target, target, weight, align_corners)
    if weight is not None:
        weight = aligned(weight, target)
    size, channels = (int(target.shape[-2]), int(target.shape[-1])), logits.shape[1]
    if fits(len(logits) * channels * size[0] * size[1], memory(logits.device)):
        with torch.autocast(logits.device.type, enabled=False):
            enlarged = resize(logits, size, align_corners)
            return loss.statistics(enlarged, target, weight, *([] if distance is None else [distance]))
    return _Sums.apply(logits, loss, target, weight, align_corners, distance)


def fits(elements: int, available: int) -> bool:
    """Return True if all enlarged logits, with their softmax and gradients, take a small part of the memory.

    Bands launch many small kernels, which accelerators take longer for. The answer depends on the card, never on what
    is in use: a resumed run must take the same way.
    """
    return 4 * COPIES * elements <= available // PART


@cache
def memory(device: torch.device) -> int:
    """Return the bytes of a CUDA device; 0 for others, where bands are faster."""
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 0


class _Sums(torch.autograd.Function):
    """One pass over all bands if the loss is linear in its sums, which keeps the gradient; else two passes."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]: torch types it (ctx, *args)
        ctx: Any,
        logits: Tensor,
        loss: SummedLoss,
        target: Tensor,
        weight: Tensor | None,
        align_corners: bool,
        distance: Tensor | None,
    ) -> Tensor:
        walk = _Walk(loss, logits, target, weight, align_corners, distance)
        ctx.save_for_backward(logits, target, weight, distance)
        ctx.loss, ctx.align_corners = loss, align_corners
        gradient = walk.zeros() if loss.linear and logits.requires_grad else None
        total = walk.sums(gradient)
        ctx.gradient = None if gradient is None else walk.of_channels(gradient)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        logits, target, weight, distance = ctx.saved_tensors
        if ctx.gradient is None:
            gradient = _Walk(ctx.loss, logits, target, weight, ctx.align_corners, distance).gradient(grad)
        else:
            # In place, to hold one gradient and not two; a second backward of the same graph walks again.
            gradient, ctx.gradient = ctx.gradient.mul_(grad[:, 0, None, None, None]), None
        return gradient.to(logits.dtype), None, None, None, None, None


class _Walk:
    """All bands of a batch, one after the other."""

    def __init__(
        self,
        loss: SummedLoss,
        logits: Tensor,
        target: Tensor,
        weight: Tensor | None,
        align_corners: bool,
        distance: Tensor | None,
    ) -> None:
        # Checking the range of exponentials reads them, and on an accelerator that waits for the device.
        self.closed: Any = getattr(loss, "band", None) if logits.device.type == "cpu" else None
        self.direct: Any = getattr(loss, "logit_band", None)
        self.channels = logits.shape[1]
        self.loss, self.target, self.weight, self.distance = loss, target, weight, distance
        self.logits = two_channels(logits) if self.closed else logits
        self.dtype = torch.promote_types(logits.dtype, torch.float32)
        self.size = (target.shape[-2], target.shape[-1])
        self.enlarger = Enlarger(
            (logits.shape[-2], logits.shape[-1]), self.size, align_corners, self.dtype, logits.device
        )

    def zeros(self) -> Tensor:
        return torch.zeros(self.logits.shape, dtype=self.dtype, device=self.logits.device)

    def sums(self, gradient: Tensor | None = None) -> Tensor:
        """Return the sums, (B, S), and add the gradient of the first to `gradient` if given."""
        parts: list[tuple[slice, Tensor]] = []

        def visit(band: Band, images: slice, a: int, b: int) -> None:
            part = band.sums()
            parts.append((images, part))
            if gradient is not None:
                first = torch.zeros_like(part)
                first[:, 0] = 1
                self.enlarger.add_adjoint(gradient[images], band.gradient(first), a, b)

        self.run(visit, gradient=gradient is not None)
        total = parts[0][1].new_zeros(len(self.logits), parts[0][1].shape[1])
        for images, part in parts:
            total[images] += part
        return total

    def gradient(self, grad: Tensor) -> Tensor:
        """Return the gradient of (sums * grad).sum() by the logits."""
        gradient = self.zeros()

        def visit(band: Band, images: slice, a: int, b: int) -> None:
            self.enlarger.add_adjoint(gradient[images], band.gradient(grad[images]), a, b)

        self.run(visit, gradient=True)
        return self.of_channels(gradient)

    def of_channels(self, gradient: Tensor) -> Tensor:
        """Return the gradient of the given channels: `two_channels` may have put a zero before them."""
        return gradient[:, -self.channels :]

    def run(self, visit: Callable[[Band, slice, int, int], None], gradient: bool) -> None:
        # As a part of the model, matrix products would run in half precision or TF32.
        where = self.logits.device.type
        with matmul_precision("highest", where), torch.autocast(where, enabled=False), torch.no_grad():
            for images, a, b in pieces(self.logits.shape, self.size, self.enlarger):
                visit(self.open(images, a, b, gradient), images, a, b)

    def open(self, images: slice, a: int, b: int, gradient: bool) -> Band:
        target = self.target[images, ..., a:b, :]
        weight = None if self.weight is None else self.weight[images, ..., a:b, :]
        exponentials = self.enlarger.exponentials(self.logits[images], a, b) if self.closed else None
        if self.closed and exponentials is not None:
            return self.closed(exponentials, target, weight)
        enlarged = self.enlarger.enlarge(self.logits[images], a, b)
        more = [] if self.distance is None else [self.distance[images, ..., a:b, :]]
        direct = self.direct(enlarged, target, weight) if self.direct else None
        return direct or _AutogradBand(self.loss.statistics, enlarged, [target, weight, *more], gradient)


class _AutogradBand:
    """A band of any loss, differentiated by autograd."""

    def __init__(
        self, statistics: Callable[..., Tensor], pred: Tensor, truth: Sequence[Tensor | None], gradient: bool
    ) -> None:
        self.pred = pred.detach().requires_grad_(gradient)
        with torch.set_grad_enabled(gradient):
            self.statistics = statistics(self.pred, *truth)

    def sums(self) -> Tensor:
        return self.statistics.detach()

    def gradient(self, grad: Tensor) -> Tensor:
        return torch.autograd.grad(self.statistics, self.pred, grad)[0]
