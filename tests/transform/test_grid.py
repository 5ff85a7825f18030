"""Grid distortion: monotonic, fixed at the borders. tests/transform/test_points.py compares points and image."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

from densepred.errors import UserError
from densepred.transform.grid import Grid


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


@pytest.mark.parametrize("options", [{"cells": 0}, {"amount": 0.4}, {"amount": -0.1}])
def test_grids_that_fold_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UserError, match="grid: cells"):
        Grid(**options)  # pyright: ignore[reportArgumentType]
