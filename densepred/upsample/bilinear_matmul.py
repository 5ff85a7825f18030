"""Bilinear upsampling as two matrix products: the same bits on every run of a GPU."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.resize.taps import positions
from densepred.upsample.interpolation import Interpolation


class BilinearMatmul(Interpolation):
    """R x C^T with a matrix of two taps per row for the rows, R (H, h), and one for the columns, C (W, w).

    The values are those of `Bilinear`. The gradient of `F.interpolate` on a GPU adds up in any order; that of a matrix
    product does not. Values are mixed in at least float32, also under autocast, as `F.interpolate` does.
    """

    def enlarge(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            wide = x.to(torch.promote_types(x.dtype, torch.float32))
            rows, columns = (
                taps(wide.shape[dim], length, self.align_corners, wide)
                for dim, length in ((-2, size[0]), (-1, size[1]))
            )
            # Columns first: they meet only the coarse rows.
            return (rows @ (wide @ columns.t())).to(x.dtype)


def taps(source: int, size: int, align_corners: bool, like: Tensor) -> Tensor:
    """Return the share of each coarse row in each enlarged row, (size, source), in the dtype and device of `like`.

    It is small and not cached: a tensor made in inference mode, during validation, could not be used in training.
    """
    rows = torch.arange(size, dtype=like.dtype, device=like.device)
    place = positions(rows, source, size, align_corners).clamp(0, source - 1)
    near = torch.arange(source, dtype=like.dtype, device=like.device)
    return (1 - (place[:, None] - near).abs()).clamp_min(0)
