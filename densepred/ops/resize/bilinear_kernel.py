"""Kernel of a transposed convolution that interpolates bilinearly (FCN, arXiv 1411.4038)."""

from __future__ import annotations

import torch
from torch import Tensor


def bilinear_filter(kernel: int) -> Tensor:
    """Return a triangle in each direction for the stride (kernel + 1) // 2: (kernel, kernel) float32.

    Each stride has one kernel that interpolates it exactly: 2 * stride - stride % 2.
    """
    stride = (kernel + 1) // 2
    center = stride - 1 if kernel % 2 else stride - 0.5
    line = 1 - (torch.arange(kernel, dtype=torch.float32) - center).abs() / stride
    return line[:, None] * line
