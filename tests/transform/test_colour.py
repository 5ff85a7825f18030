"""Colour maps against torchvision, which does brightness, contrast and saturation the same way."""

from __future__ import annotations

import pytest
import torch
import torchvision.transforms.v2.functional as V
from torch import Generator

from densepred.ops.geometry.recolour import recolour
from densepred.transform.colour import Colour

IMAGE = torch.rand(3, 8, 12, generator=Generator().manual_seed(0)) * 0.4 + 0.3


def strongest(patch: pytest.MonkeyPatch, image: torch.Tensor, **amounts: float) -> torch.Tensor:
    """The map when the largest of every range is drawn."""
    patch.setattr(torch, "rand", lambda count, generator: torch.ones(count))
    zero = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    return Colour(**(zero | amounts)).colour(image.mean((1, 2)), Generator())


def test_brightness_and_saturation_equal_torchvisions(monkeypatch: pytest.MonkeyPatch) -> None:
    out = recolour(IMAGE, strongest(monkeypatch, IMAGE, brightness=0.3))
    torch.testing.assert_close(out, V.adjust_brightness(IMAGE, 1.3), atol=1e-5, rtol=0)
    out = recolour(IMAGE, strongest(monkeypatch, IMAGE, saturation=0.3))
    torch.testing.assert_close(out, V.adjust_saturation(IMAGE, 1.3), atol=2e-4, rtol=0)


def test_contrast_of_a_grey_image_equals_torchvisions(monkeypatch: pytest.MonkeyPatch) -> None:
    grey = IMAGE[:1]
    out = recolour(grey, strongest(monkeypatch, grey, contrast=0.3))
    torch.testing.assert_close(out, V.adjust_contrast(grey, 1.3), atol=1e-5, rtol=0)


def test_hue_turns_colours_and_leaves_greys(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = strongest(monkeypatch, IMAGE, hue=1 / 3)
    grey = torch.full((3, 1, 1), 0.4)
    torch.testing.assert_close(recolour(grey, matrix), grey, atol=1e-4, rtol=0)
    red = torch.tensor([0.6, 0.4, 0.4]).view(3, 1, 1)
    assert recolour(red, matrix).argmax(0).item() != 0
    whole = strongest(monkeypatch, IMAGE, hue=1.0)
    torch.testing.assert_close(recolour(red, whole), red, atol=1e-4, rtol=0)


def test_bytes_are_rounded_and_clipped() -> None:
    image = torch.tensor([0, 100, 255], dtype=torch.uint8).view(1, 1, 3)
    out = recolour(image, torch.tensor([[1.5, 0.1]]))
    assert out.flatten().tolist() == [26, 176, 255]
