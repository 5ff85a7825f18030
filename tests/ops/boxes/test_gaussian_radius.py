from __future__ import annotations

import pytest
import torch

from densepred.ops.boxes.gaussian_radius import corner_radius, published_radius
from tests.reference import slow_detection

SIZES = torch.tensor([[1.0, 1.0], [10.0, 10.0], [3.0, 40.0], [77.0, 12.5]])


@pytest.mark.parametrize("overlap", [0.3, 0.7, 0.9])
def test_the_published_radius_is_that_of_the_program(overlap: float) -> None:
    want = [slow_detection.published_radius(w, h, overlap) for w, h in SIZES.tolist()]
    assert published_radius(SIZES, overlap).tolist() == pytest.approx(want, rel=1e-4)


@pytest.mark.parametrize("overlap", [0.3, 0.7, 0.9])
def test_corners_off_by_the_radius_keep_the_overlap_and_by_more_do_not(overlap: float) -> None:
    for (w, h), r in zip(SIZES.tolist(), corner_radius(SIZES, overlap).tolist(), strict=True):

        def worst(r: float, w: float = w, h: float = h) -> float:
            """Return the least IoU of the box with a copy that has its corners moved by r, along both axes."""
            moves = [(a * r, b * r) for a in (-1, 1) for b in (-1, 1)]
            others = [(x0, y0, w + x1, h + y1) for x0, y0 in moves for x1, y1 in moves]
            return min(slow_detection.overlap((0.0, 0.0, w, h), other) for other in others)

        assert worst(r) >= overlap - 1e-5
        assert worst(1.02 * r) < overlap
