"""Blur, noise, gamma, loss of resolution, cutout and JPEG."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import Generator

from densepred.errors import UserError
from densepred.transform.blur import Blur
from densepred.transform.cutout import Cutout
from densepred.transform.gamma import Gamma
from densepred.transform.jpeg import Jpeg
from densepred.transform.low_resolution import LowResolution
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
    for one in (Noise(p=0.0), Gamma(p=0.0), Jpeg(p=0.0), LowResolution(p=0.0), Cutout(p=0.0)):
        assert one(data, Generator()) is data


def test_gamma_is_a_power_for_bytes_and_floats() -> None:
    image = torch.rand(3, 9, 7, generator=Generator().manual_seed(0))
    gamma = Gamma(p=1.0, low=2.0, high=2.0)
    torch.testing.assert_close(gamma(sample(image), Generator()).image, image * image)
    image = torch.tensor([0, 51, 128, 255], dtype=torch.uint8).view(1, 2, 2)
    assert gamma(sample(image), Generator()).image.flatten().tolist() == [0, 10, 64, 255]


def test_jpeg_equals_pillows() -> None:
    rows = torch.linspace(0, 255, 64)
    image = torch.stack([rows.expand(48, 64), rows.flip(0).expand(48, 64), rows.expand(48, 64)]).to(torch.uint8)
    out = Jpeg(p=1.0, low=60, high=60)(sample(image), Generator()).image
    file = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "jpeg", quality=60)
    expected = torch.from_numpy(np.asarray(Image.open(file)).copy()).permute(2, 0, 1)
    assert (out.int() - expected.int()).abs().max() <= 2
    assert not torch.equal(out, image)


def test_jpeg_refuses_channels_that_it_lacks() -> None:
    with pytest.raises(UserError, match="JPEG has 1 or 3 channels, images have 4"):
        Jpeg()(sample(torch.rand(4, 8, 8)), Generator())


def test_low_resolution_averages_areas_and_enlarges() -> None:
    image = torch.rand(1, 32, 48, generator=Generator().manual_seed(0))
    seed = next(
        s for s in range(99) if torch.rand(2, generator=Generator().manual_seed(s), dtype=torch.float64)[1] > 0.9
    )
    out = LowResolution(p=1.0, low=0.25)(sample(image), Generator().manual_seed(seed)).image
    assert out.shape == image.shape
    assert out.std() < image.std() / 2
    torch.testing.assert_close(out.mean(), image.mean(), atol=0.02, rtol=0)
    flat = torch.full((3, 7, 9), 77, dtype=torch.uint8)
    assert torch.equal(LowResolution(p=1.0)(sample(flat), Generator()).image, flat)


def test_cutout_fills_a_square_with_the_mean_colour() -> None:
    image = torch.rand(3, 40, 60, generator=Generator().manual_seed(0))
    for seed in range(10):
        out = Cutout(p=1.0, side=0.5)(sample(image), Generator().manual_seed(seed)).image
        changed = (out != image).any(0)
        rows, columns = changed.any(1), changed.any(0)
        assert int(changed.sum()) == int(rows.sum()) * int(columns.sum()) > 0
        assert max(int(rows.sum()), int(columns.sum())) <= 21
        mean = image.mean((1, 2))
        torch.testing.assert_close(out[:, changed], mean[:, None].expand(3, int(changed.sum())))
