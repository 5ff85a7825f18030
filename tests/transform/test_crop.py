from __future__ import annotations

import pytest
import torch
from torch import Generator

from densepred.ops.geometry.warp import IDENTITY
from densepred.transform.crop import Crop
from densepred.types import UserError


def test_without_a_size_the_image_stays_as_it_is() -> None:
    warp = Crop(None, 0.5, 2.0).params((37, 45), Generator().manual_seed(0))
    assert warp.matrix == IDENTITY
    assert warp.size == (37, 45)


def test_windows_lie_everywhere_and_only_inside() -> None:
    generator, crop = Generator().manual_seed(0), Crop((5, 7))
    warps = [crop.params((9, 10), generator) for _ in range(300)]
    assert {warp.matrix[0][2] for warp in warps} == {0.0, 1.0, 2.0, 3.0}
    assert {warp.matrix[1][2] for warp in warps} == {0.0, 1.0, 2.0, 3.0, 4.0}


def test_a_smaller_image_lies_anywhere_in_the_window() -> None:
    generator, crop = Generator().manual_seed(0), Crop((5, 7))
    starts = {crop.params((4, 4), generator).matrix[0][2] for _ in range(100)}
    assert starts == {0.0, -1.0, -2.0, -3.0}


def test_scales_halve_as_often_as_they_double() -> None:
    generator, crop = Generator().manual_seed(0), Crop((64, 64), 0.5, 2.0)
    factors = torch.tensor([1 / crop.params((1000, 1000), generator).matrix[0][0] for _ in range(2000)])
    assert 0.499 <= factors.min() < 0.51
    assert 1.95 < factors.max() <= 2.001
    assert abs(float((factors > 1).float().mean()) - 0.5) < 0.04


@pytest.mark.parametrize("arguments", [{"size": [3]}, {"size": [0, 4]}, {"size": [4, 4], "low": 2.0, "high": 1.0}])
def test_impossible_settings_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(UserError, match="give"):
        Crop(**arguments)  # type: ignore[arg-type]
