"""Bilinear interpolation of features, as two matrix products where runs on a GPU must have the same bits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.ops.resize.taps import interpolation_matrix, stored_matrix

PLAIN = ("cpu", "meta")
"""Devices on which `F.interpolate` is deterministic."""


def bilinear(x: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    """Enlarge (B, C, h, w) to (B, C, *size) as `F.interpolate` does, or by products if runs must repeat on a GPU.

    There torch computes the enlargement of a deterministic run by about 60 kernels that go over all pixels.
    """
    if x.device.type in PLAIN or not torch.are_deterministic_algorithms_enabled() or torch.compiler.is_exporting():
        return F.interpolate(x, size, mode="bilinear", align_corners=align_corners)
    return by_products(x, size, align_corners)


def by_products(x: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    """Compute R x C^T with matrices of two taps per row: R (H, h) for the rows, C (W, w) for the columns.

    The values are those of `F.interpolate`. Its gradient on a GPU adds up in any order; that of a matrix product does
    not. Values are mixed in at least float32, also under autocast, and rounded once.
    """
    with torch.autocast(x.device.type, enabled=False):
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        made = interpolation_matrix if torch.compiler.is_compiling() else stored_matrix
        rows, columns = (
            made(x.shape[dim], length, align_corners, wide.dtype, x.device)
            for dim, length in ((-2, size[0]), (-1, size[1]))
        )
        # Columns first: they meet only the coarse rows.
        return (rows @ (wide @ columns.t())).to(x.dtype)
