"""Pictures of reconstructions."""

from __future__ import annotations

import pytest
import torch

from densepred.draw import maps
from densepred.draw.comparison import below, compare
from densepred.draw.panel import GAP, LINE
from densepred.types import Annotation, Info


def test_a_panel_shows_image_reconstruction_and_error() -> None:
    image = torch.full((3, 8, 10), 100, dtype=torch.uint8)
    truth = Annotation((8, 10), image=image)
    found = Annotation((8, 10), image=torch.full((3, 8, 10), 0.5))
    picture = compare(image, found, truth, Info())
    assert picture.shape == (3, 8 * 36 + LINE, 3 * 360 + 2 * GAP)
    drawn = picture[:, LINE:]
    assert (drawn[:, :, :360] == 100).all()
    assert (drawn[:, :, 364:724] == 128).all()
    assert (drawn[:, :, 728:] == round(abs(0.5 - 100 / 255) * 255 * maps.GAIN)).all()


def test_a_damaged_input_stands_beside_the_clean_image() -> None:
    truth = Annotation((8, 10), image=torch.full((1, 8, 10), 0.25))
    picture = compare(torch.rand(1, 8, 10), Annotation((8, 10), image=torch.rand(1, 8, 10)), truth, Info())
    assert picture.shape[-1] == 4 * 360 + 3 * GAP
    assert (picture[:, 2 * LINE :, 364:724] == 64).all()  # words of wide panels are twice as large


@pytest.mark.parametrize(
    ("score", "least"), [(0.27, 0.2), (0.1, 0.09), (0.3, 0.2), (1.0, 0.9), (0.0042, 0.004), (0.0, 0.0)]
)
def test_a_threshold_to_type_has_one_digit_and_lies_below_the_score(score: float, least: float) -> None:
    assert below(score) == least
