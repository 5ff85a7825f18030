"""Blur and noise."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Generator

from densepred.transform.blur import Blur
from densepred.transform.noise import Noise
from densepred.types import Annotation, Frame, Sample


def sample(image: torch.Tensor) -> Sample:
    size = (image.shape[1], image.shape[2])
    return Sample(image, Annotation(size), Frame("x", size))


def test_blur_equals_scipys() -> None:
    image = torch.rand(2, 37, 45, generator=Generator().manual_seed(0))
    out = Blur(p=1.0, low=1.5, high=1.5)(sample(image), Generator().manual_seed(0)).image
    expected = np.stack([ndimage.gaussian_filter(layer, 1.5, mode="nearest", radius=5) for layer in image.numpy()])
    torch.testing.assert_close(out, torch.from_numpy(expected), atol=1e-5, rtol=0)


def test_noise_has_the_strength_asked_for() -> None:
    image = torch.full((3, 200, 200), 128, dtype=torch.uint8)
    strengths = [
        float(Noise(p=1.0, sigma=0.1)(sample(image), Generator().manual_seed(seed)).image.float().std()) / 255
        for seed in range(20)
    ]
    assert max(strengths) <= 0.11
    assert 0.03 < sum(strengths) / len(strengths) < 0.07


def test_with_probability_0_nothing_happens() -> None:
    data = sample(torch.rand(1, 4, 4))
    assert Blur(p=0.0)(data, Generator()) is data
    assert Noise(p=0.0)(data, Generator()) is data
