"""Padding and cropping at the far edges of a map, for layers that enlarge by whole factors and must reach any size."""

from __future__ import annotations

import torch
from torch import Tensor


def pad(x: Tensor, size: tuple[int, int], factor: int) -> Tensor:
    """Repeat the last row and column of (B, C, h, w) until `factor` times its size is at least `size`.

    Max pooling leaves h of 2h + 1 rows; without padding no location of the map would reach the odd row.
    """
    for dim, length in ((-2, size[0]), (-1, size[1])):
        needed = (length + factor - 1) // factor
        if torch.compiler.is_exporting():
            x = repeated(x, dim, torch.sym_max(needed, x.shape[dim]))
        # Not F.pad(mode="replicate"): its gradient is not bit-reproducible on every accelerator.
        elif (more := needed - x.shape[dim]) > 0:
            x = torch.cat([x, *[x.narrow(dim, x.shape[dim] - 1, 1)] * more], dim)
    return x


def repeated(x: Tensor, dim: int, length: int | torch.SymInt) -> Tensor:
    """Return the first `length` rows or columns of x; the last one is repeated if there are fewer.

    Without a condition on the size, which would fix it in an exported program.
    """
    return x.index_select(dim, torch.arange(length, device=x.device).clamp(max=x.shape[dim] - 1))


def crop(x: Tensor, height: int, width: int) -> Tensor:
    """Return the first rows and columns of maps (..., H, W): a view, and in an exported program a copy.

    The layout of a view depends on whether the crop is a whole map, which torch.export would fix for all sizes.
    """
    if torch.compiler.is_exporting():
        rows, columns = (torch.arange(length, device=x.device) for length in (height, width))
        return x.index_select(-2, rows).index_select(-1, columns)
    return x[..., :height, :width]
