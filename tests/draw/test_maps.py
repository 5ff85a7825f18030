"""Pictures of reconstructions."""

from __future__ import annotations

import torch

from densepred.draw import maps
from densepred.draw.comparison import compare
from densepred.types import Annotation, Info


def test_a_panel_shows_image_reconstruction_and_error() -> None:
    image = torch.full((3, 8, 10), 100, dtype=torch.uint8)
    truth = Annotation((8, 10), image=image)
    found = Annotation((8, 10), image=torch.full((3, 8, 10), 0.5))
    picture = compare(image, found, truth, Info())
    assert picture.shape == (3, 8, 3 * 10 + 2 * maps.GAP)
    assert (picture[:, :, :10] == 100).all()
    assert (picture[:, :, 14:24] == 128).all()
    assert (picture[:, :, 28:] == round(abs(0.5 - 100 / 255) * 255 * maps.GAIN)).all()


def test_a_damaged_input_stands_beside_the_clean_image() -> None:
    truth = Annotation((8, 10), image=torch.full((1, 8, 10), 0.25))
    picture = compare(torch.rand(1, 8, 10), Annotation((8, 10), image=torch.rand(1, 8, 10)), truth, Info())
    assert picture.shape[-1] == 4 * 10 + 3 * maps.GAP
    assert (picture[:, :, 14:24] == 64).all()
