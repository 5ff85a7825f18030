"""Max-unpooling: put each value back where its maximum was (SegNet, arXiv 1511.00561)."""

from __future__ import annotations

from torch import Tensor, nn

from densepred.contracts import Upsample
from densepred.types import UserError


class Unpool(Upsample):
    def __init__(self, in_channels: int, out_channels: int, pooled_channels: int | None, factor: int = 2) -> None:
        if factor != 2:
            raise UserError(
                f"upsample=unpool undoes one 2x2 pooling, the decoder rises by {factor} at once; use upsample=bilinear"
            )
        if pooled_channels is None:
            raise UserError(
                "upsample=unpool needs an encoder that max-pools between all levels that the decoder joins "
                "(plain, vgg16); use one of them or upsample=bilinear"
            )
        super().__init__()
        fits = in_channels == pooled_channels
        self.enter = nn.Identity() if fits else nn.Conv2d(in_channels, pooled_channels, 1)
        fits = pooled_channels == out_channels
        self.leave = nn.Identity() if fits else nn.Conv2d(pooled_channels, out_channels, 1)

    def forward(self, x: Tensor, size: tuple[int, int], indices: Tensor | None) -> Tensor:
        assert indices is not None, "the encoder published pooled channels but no indices"
        x = self.enter(x)
        # nn.MaxUnpool2d refuses deterministic mode; the indices count the pixels of a whole map, so scatter is equal.
        empty = x.new_zeros(*x.shape[:2], size[0] * size[1])
        return self.leave(empty.scatter(2, indices.flatten(2), x.flatten(2)).unflatten(2, size))
