"""Structural similarity against scipy's Gaussian filter, window by window."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from densepred.ops.score.ssim import ssim


def slow(a: np.ndarray, b: np.ndarray) -> float:
    """One channel by one two-dimensional window, at every place where it lies in the image."""
    y, x = np.mgrid[-5:6, -5:6]
    window = np.exp(-(y**2 + x**2) / (2 * 1.5**2))
    window /= window.sum()

    def mean(values: np.ndarray) -> np.ndarray:
        return correlate(values, window)[5:-5, 5:-5]

    covariance = mean(a * b) - mean(a) * mean(b)
    variances = mean(a * a) - mean(a) ** 2 + mean(b * b) - mean(b) ** 2
    luminance = (2 * mean(a) * mean(b) + 0.01**2) / (mean(a) ** 2 + mean(b) ** 2 + 0.01**2)
    return float((luminance * (2 * covariance + 0.03**2) / (variances + 0.03**2)).mean())


@pytest.mark.parametrize("size", [(11, 11), (11, 19), (23, 14)])
def test_every_image_is_the_mean_over_channels_and_windows(size: tuple[int, int]) -> None:
    draw = np.random.default_rng(0)
    a = draw.random((2, 3, *size))
    b = np.clip(a + draw.normal(0, [[[[0.02]]], [[[0.3]]]], a.shape), 0, 1)
    expected = [np.mean([slow(a[i, c], b[i, c]) for c in range(3)]) for i in range(2)]
    assert ssim(torch.from_numpy(a), torch.from_numpy(b)).numpy() == pytest.approx(np.array(expected), abs=1e-12)
    assert expected[0] > 0.9 > expected[1]


def test_equal_images_score_1_and_dark_ones_follow_the_constants() -> None:
    image = torch.rand(1, 1, 12, 12, dtype=torch.float64)
    assert ssim(image, image).item() == pytest.approx(1)
    black, grey = torch.zeros(1, 1, 11, 11, dtype=torch.float64), torch.full((1, 1, 11, 11), 0.1, dtype=torch.float64)
    assert ssim(black, grey).item() == pytest.approx(1e-4 / (0.01 + 1e-4))


def test_an_image_smaller_than_the_window_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError, match="window does not fit"):
        ssim(torch.zeros(1, 1, 10, 11), torch.zeros(1, 1, 10, 11))
