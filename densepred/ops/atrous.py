"""Atrous convolutions of high rates, without the taps that see nothing but padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

MOST = 0.5
"""The largest share of products inside the image at which single taps are faster, measured at rates 12, 24 and 36."""


class AtrousConv2d(nn.Conv2d):
    """A dense convolution with an odd kernel that keeps the size of its input; others are left to the library.

    At rate 36 a map of 32 x 32 meets one of nine taps; oneDNN multiplies the padding under the others as well. If a
    rate is high for the map, each tap is computed over the pixels that it reaches, in float32 on a CPU. Parameters are
    those of `nn.Conv2d`; outputs and gradients equal its own up to rounding.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        plain = input.device.type == "cpu" and input.dtype == weight.dtype == torch.float32
        traced = torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu")
        fits = plain and not traced and self._keeps_size()
        if not fits or share(input.shape[-2:], self.kernel_size, self.dilation) > MOST:
            return super()._conv_forward(input, weight, bias)
        out: Tensor = _Taps.apply(input, weight, self.dilation)
        return out if bias is None else out + bias.view(-1, 1, 1)

    def _keeps_size(self) -> bool:
        same = tuple(rate * (taps // 2) for rate, taps in zip(self.dilation, self.kernel_size, strict=True))
        odd = all(taps % 2 for taps in self.kernel_size)
        return odd and (self.stride, self.padding, self.groups, self.padding_mode) == ((1, 1), same, 1, "zeros")


def share(size: Sequence[int], kernel: Sequence[int], rates: Sequence[int]) -> float:
    """Return the share of a convolution's products that are of pixels inside a map of this size (H, W)."""
    found = 1.0
    for length, taps, rate in zip(size, kernel, rates, strict=True):
        found *= sum(out.stop - out.start for _, out, _ in _reached(length, taps, rate)) / (length * taps)
    return found


def _reached(length: int, taps: int, rate: int) -> Iterator[tuple[int, slice, slice]]:
    """Yield the taps along one axis that meet the map: index, outputs, and the inputs that those see."""
    for tap in range(taps):
        offset = (tap - taps // 2) * rate
        start, stop = max(0, -offset), min(length, length - offset)
        if start < stop:
            yield tap, slice(start, stop), slice(start + offset, stop + offset)


def _pieces(x: Tensor, weight: Tensor, rates: Sequence[int]) -> Iterator[tuple[Any, Any, Any]]:
    """Yield indices of each tap's weights, outputs and inputs; the middle one, which covers the map, first."""
    axes = [list(_reached(*axis)) for axis in zip(x.shape[-2:], weight.shape[-2:], rates, strict=True)]
    pieces = list(product(*axes))
    pieces.sort(
        key=lambda piece: any(tap != taps // 2 for (tap, *_), taps in zip(piece, weight.shape[-2:], strict=True))
    )
    for (i, out_rows, rows), (j, out_columns, columns) in pieces:
        yield (..., slice(i, i + 1), slice(j, j + 1)), (..., out_rows, out_columns), (..., rows, columns)


class _Taps(torch.autograd.Function):
    """The sum of 1x1 convolutions, one per tap: of maps (B, C, H, W) and weights (O, C, h, w), rates per axis."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, rates: tuple[int, ...]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.rates = rates
        (tap, _, _), *others = _pieces(x, weight, rates)
        out = F.conv2d(x, weight[tap])
        for tap, outputs, inputs in others:
            out[outputs] += F.conv2d(x[inputs], weight[tap])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:2]
        of_x = torch.zeros_like(x) if wanted[0] else None
        of_weight = torch.zeros_like(weight) if wanted[1] else None
        for tap, outputs, inputs in _pieces(x, weight, ctx.rates):
            # The library asks for a gradient in the layout of its input.
            piece = x[inputs]
            layout = torch.channels_last if piece.stride(1) == 1 else torch.contiguous_format
            found = torch.ops.aten.convolution_backward(
                gradient[outputs].contiguous(memory_format=layout), piece, weight[tap],
                None, (1, 1), (0, 0), (1, 1), False, (0, 0), 1, (*wanted, False),
            )  # fmt: skip
            if of_x is not None:
                of_x[inputs] += found[0]
            if of_weight is not None:
                of_weight[tap] = found[1]
        return of_x, of_weight, None
