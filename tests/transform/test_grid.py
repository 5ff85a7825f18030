"""Grid distortion: monotonic, fixed at the borders, the same for image and points."""

from __future__ import annotations

import pytest
import torch
from scipy import ndimage
from torch import Generator

from densepred.errors import UserError
from densepred.transform.grid import Grid
from densepred.transform.pipeline import Pipeline
from densepred.types import Annotation, Frame, Sample


@pytest.mark.parametrize("size", [(40, 60), (7, 3), (1, 1)])
def test_borders_stay_and_nothing_folds(size: tuple[int, int]) -> None:
    for seed in range(5):
        warp = Grid(p=1.0, amount=0.33).params(size, Generator().manual_seed(seed))
        assert warp.flow is not None
        assert warp.flow.shape == (2, *size)
        for flow, length in ((warp.flow[0, 0], size[1]), (warp.flow[1, :, 0], size[0])):
            source = torch.arange(length) + flow
            assert source[0] == pytest.approx(0, abs=1e-4)
            assert source[-1] == pytest.approx(length - 1, abs=1e-4)
            assert (source.diff() > 0.3).all()


def test_points_move_with_the_image() -> None:
    """The image holds its own coordinates, so its values at a moved point tell where the point was."""
    size = (40, 60)
    ys, xs = torch.meshgrid(torch.arange(40.0), torch.arange(60.0), indexing="ij")
    image = torch.stack((xs, ys)) / 64
    truth = Annotation(size, keypoints=torch.tensor([[[22.0, 13.0, 2.0]]]))
    moved = 0.0
    for seed in range(5):
        out = Pipeline([Grid(p=1.0)])(Sample(image, truth, Frame("x", size)), Generator().manual_seed(seed))
        point = out.truth.keypoints[0, 0, :2]  # pyright: ignore[reportOptionalSubscript]
        there = ndimage.map_coordinates
        found = [float(there(layer.numpy() * 64, [[point[1]], [point[0]]], order=1)[0]) for layer in out.image]
        assert found == pytest.approx([22.0, 13.0], abs=0.05)
        moved = max(moved, float((point - torch.tensor([22.0, 13.0])).abs().max()))
    assert moved > 1


@pytest.mark.parametrize("options", [{"cells": 0}, {"amount": 0.4}, {"amount": -0.1}])
def test_grids_that_fold_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UserError, match="grid: cells"):
        Grid(**options)  # pyright: ignore[reportArgumentType]
