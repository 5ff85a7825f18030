"""Learned upsampling by a transposed convolution."""

from __future__ import annotations

from torch import Tensor, nn

from densepred.contracts import Upsample
from densepred.types import UserError


class Transposed(Upsample):
    """The stride is the factor, and the kernel too unless it is given: then it is U-Net's up-convolution."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        pooled_channels: int | None,
        factor: int = 2,
        kernel: int | None = None,
        padding: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        kernel = factor if kernel is None else kernel
        if kernel < factor:
            raise UserError(f"upsample.kernel: {kernel} leaves gaps at factor {factor}; give at least {factor} or null")
        self.padding = padding
        self.conv = nn.ConvTranspose2d(in_channels, out_channels, kernel, factor, padding, bias=bias)
        # Every output sees (kernel / factor)^2 taps of each input channel, and no rectifier follows.
        nn.init.normal_(self.conv.weight, std=(in_channels * (kernel / factor) ** 2) ** -0.5)
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
