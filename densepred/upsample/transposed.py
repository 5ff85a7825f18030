"""Learned upsampling by a transposed convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from densepred.contracts import Upsample
from densepred.nn import choose
from densepred.ops.resize.bilinear_kernel import bilinear_filter
from densepred.types import UserError

INITS = ("random", "bilinear")


class Transposed(Upsample):
    """The stride is the factor, and the kernel too unless it is given: then it is U-Net's up-convolution.

    `padding` null crops (kernel - factor) // 2 at each side, so that fine pixels stay over their coarse pixel.
    `init=bilinear` (FCN, arXiv 1411.4038) begins with interpolation; its kernel is 2 * factor - factor % 2 unless it is
    given. Where the width changes, each output channel is a random mix of the interpolated input channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        pooled_channels: int | None,
        factor: int = 2,
        kernel: int | None = None,
        padding: int | None = None,
        init: str = "random",
        bias: bool = True,
    ) -> None:
        super().__init__()
        choose("upsample.init", init, INITS)
        if kernel is None:
            kernel = factor if init == "random" else 2 * factor - factor % 2
        if kernel < factor:
            raise UserError(f"upsample.kernel: {kernel} leaves gaps at factor {factor}; give at least {factor} or null")
        if padding is not None and padding < 0:
            raise UserError(f"upsample.padding: {padding}; give 0 or more, or null")
        self.padding = (kernel - factor) // 2 if padding is None else padding
        self.conv = nn.ConvTranspose2d(in_channels, out_channels, kernel, factor, self.padding, bias=bias)
        if init == "random":
            # Every output sums (kernel / factor)^2 taps of each input channel, and no rectifier follows.
            nn.init.normal_(self.conv.weight, std=(in_channels * (kernel / factor) ** 2) ** -0.5)
        else:
            self.conv.weight.data.copy_(_mix(in_channels, out_channels)[:, :, None, None] * bilinear_filter(kernel))
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor, size: tuple[int, int], indices: Tensor | None) -> Tensor:
        kernel, factor, padding = self.conv.kernel_size[0], self.conv.stride[0], self.padding
        own = [(length - 1) * factor + kernel - 2 * padding for length in x.shape[-2:]]
        if any(want >= have + factor for want, have in zip(size, own, strict=True)):
            raise UserError(
                f"upsample=transposed with kernel {kernel} and padding {padding} makes {own[0]}x{own[1]}, not "
                f"{size[0]}x{size[1]}; raise upsample.kernel or lower upsample.padding"
            )
        # Max pooling leaves h of 2h or 2h + 1 rows, a strided convolution h of 2h - 1 or 2h: reach further, or crop.
        reach = [max(want, have) for want, have in zip(size, own, strict=True)]
        return self.conv(x, output_size=reach)[..., : size[0], : size[1]]


def _mix(in_channels: int, out_channels: int) -> Tensor:
    """Return the mix of channels, (in, out): the identity, or a random mix of the same scale if the width changes."""
    if in_channels == out_channels:
        return torch.eye(in_channels)
    return torch.randn(in_channels, out_channels) * in_channels**-0.5
