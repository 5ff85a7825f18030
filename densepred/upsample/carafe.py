"""Content-aware reassembly of features (CARAFE, arXiv 1905.02188)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densepred.contracts import Upsample
from densepred.nn import require_odd
from densepred.ops.geometry.pad import pad


class Carafe(Upsample):
    """Every pixel is a weighted mean of kernel x kernel coarse pixels around its own; the weights are predicted from x.

    compressed: channels from which weights are predicted
    encoder_kernel: kernel of that convolution, null for kernel - 2
    The initial output is an unweighted mean, as in the authors' code.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        pooled_channels: int | None,
        factor: int = 2,
        kernel: int = 5,
        encoder_kernel: int | None = None,
        compressed: int = 64,
    ) -> None:
        super().__init__()
        seen = max(1, kernel - 2) if encoder_kernel is None else encoder_kernel
        for key, value in (("kernel", kernel), ("encoder_kernel", seen)):
            require_odd(f"upsample.{key}", value)
        self.factor, self.kernel = factor, kernel
        self.compress = nn.Conv2d(in_channels, compressed, 1)
        self.encode = nn.Conv2d(compressed, kernel**2 * factor**2, seen, padding=seen // 2)
        # The width may change before or after the mean; before, at the small size, is cheaper.
        self.project = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()
        nn.init.xavier_uniform_(self.compress.weight)
        nn.init.normal_(self.encode.weight, std=0.001)
        for conv in (self.compress, self.encode):
            nn.init.zeros_(conv.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Tensor, size: tuple[int, int], indices: Tensor | None) -> Tensor:
        x = pad(x, size, self.factor)
        weights = self.encode(self.compress(x)).unflatten(1, (self.kernel**2, self.factor**2)).softmax(1)
        return reassemble(self.project(x), weights)[..., : size[0], : size[1]]


def reassemble(x: Tensor, weights: Tensor) -> Tensor:
    """Return weighted means of k x k neighbours for the f^2 fine pixels of each coarse pixel.

    x: (B, C, h, w), 0 outside
    weights: (B, k^2, f^2, h, w)
    result: (B, C, f h, f w), y[c, p] = sum over n of weights[n, p] x[c, coarse(p) + offset(n)]; summed in float32
    Neighbours are added one by one: gathering all first would take k^2 times the memory.
    """
    height, width = x.shape[-2:]
    kernel, factor = (round(weights.shape[dim] ** 0.5) for dim in (1, 2))
    padded = F.pad(x, [kernel // 2] * 4)
    total = x.new_zeros(*x.shape[:2], factor**2, height, width, dtype=torch.promote_types(x.dtype, torch.float32))
    for n in range(kernel**2):
        top, left = divmod(n, kernel)
        cells = padded[:, :, None, top : top + height, left : left + width]
        total.addcmul_(cells, weights[:, n, None])
    return F.pixel_shuffle(total.flatten(1, 2).to(x.dtype), factor)
