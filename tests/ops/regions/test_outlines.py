"""Outlines of masks, drawn again by pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as rle
from scipy import ndimage

from densepred.ops.regions.outlines import outlines


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 1.0])
def test_outlines_hold_the_pixels_and_the_pieces_of_a_mask(share: float) -> None:
    rng = np.random.default_rng(3)
    for height, width in ((1, 1), (1, 9), (13, 17), (30, 21)):
        mask = rng.random((height, width)) < share
        drawn, pieces = np.zeros_like(mask), 0
        for points, hole in outlines(mask):
            polygon: list[float] = points.ravel().astype(float).tolist()
            drawn ^= rle.decode(rle.frPyObjects([polygon], height, width))[..., 0].astype(bool)
            pieces += not hole
            across = np.diff(points, axis=0, append=points[:1])[:, 0] != 0
            assert (across != np.roll(across, 1)).all()  # every corner turns
        assert (drawn == mask).all()
        assert pieces == ndimage.label(mask)[1]
