"""Boxes and areas of the instances in a map of ids."""

from __future__ import annotations

import torch
from torch import Tensor


def areas(instances: Tensor, count: int) -> Tensor:
    """Count the pixels of each instance, (count,) float64: float32 holds no odd number above 2^24.

    instances: (H, W), 0 for none, i + 1 for the i-th
    """
    return torch.bincount(instances.reshape(-1).long(), minlength=count + 1)[1 : count + 1].double()


def boxes(instances: Tensor, count: int) -> Tensor:
    """Return the outer edges x0, y0, x1, y1 of each instance's pixels, (count, 4); zeros without pixels.

    A box of the single pixel (0, 0) is (-0.5, -0.5, 0.5, 0.5), because pixel centers are integers.
    """
    y, x = torch.nonzero(instances, as_tuple=True)
    index = instances[y, x].long() - 1
    low = torch.full((count, 2), float("inf"), device=instances.device)
    high = torch.full((count, 2), float("-inf"), device=instances.device)
    for axis, values in enumerate((x.float(), y.float())):
        low[:, axis].scatter_reduce_(0, index, values, "amin")
        high[:, axis].scatter_reduce_(0, index, values, "amax")
    out = torch.cat((low - 0.5, high + 0.5), 1)
    return torch.where(out.isfinite(), out, torch.zeros(()))
