"""Base of interpolations: the number of channels changes first, then values are interpolated."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn

from densepred.contracts import Upsample


class Interpolation(Upsample):
    """With `align_corners` the centers of the corner pixels stay in place, else the outer edges of the map."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        pooled_channels: int | None,
        factor: int = 2,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        # Changing the width at the small size is factor^2 times cheaper and gives the same values.
        self.project = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor, size: tuple[int, int], indices: Tensor | None) -> Tensor:
        x = self.project(x)
        return x if x.shape[-2:] == size else self.enlarge(x, size)

    @abstractmethod
    def enlarge(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Enlarge (B, C, h, w) to (B, C, *size)."""
