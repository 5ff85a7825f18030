"""Structural similarity of two images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SIZE, SIGMA = 11, 1.5  # of the Gaussian window, in pixels
K1, K2 = 0.01, 0.03


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Compute the mean structural similarity of images in [0, 1]: (B,), the mean over channels and windows.

    a, b: (B, C, H, W), H and W at least 11

    Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 2004: a Gaussian window of 11 x 11 pixels, K1 = 0.01, K2 = 0.03,
    population variances, and only windows inside the image.
    """
    assert min(a.shape[-2:]) >= SIZE, "a window does not fit"
    channels = a.shape[1]
    # Filter all five moments in one pass of two one-dimensional convolutions
    moments = _blur(torch.cat([a, b, a * a, b * b, a * b], 1))
    mean_a, mean_b, aa, bb, ab = moments.split(channels, 1)
    c1, c2 = K1**2, K2**2
    product, squares = mean_a * mean_b, mean_a.square() + mean_b.square()
    above = (2 * product + c1) * (2 * (ab - product) + c2)
    below = (squares + c1) * (aa + bb - squares + c2)
    return (above / below).flatten(1).mean(1)


def _blur(x: Tensor) -> Tensor:
    at = torch.arange(SIZE, dtype=x.dtype, device=x.device) - SIZE // 2
    kernel = torch.exp(-0.5 * (at / SIGMA).square())
    kernel = kernel / kernel.sum()
    flat = x.flatten(0, 1)[:, None]
    flat = F.conv2d(F.conv2d(flat, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
    return flat.unflatten(0, x.shape[:2])[:, :, 0]
