"""Interpolations against torch's, through the components."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densepred.contracts import Upsample
from densepred.upsample.bicubic import Bicubic
from densepred.upsample.bilinear import Bilinear
from densepred.upsample.nearest import Nearest

MODES: dict[str, tuple[type[Upsample], dict, dict]] = {
    "nearest": (Nearest, {}, {"mode": "nearest"}),
    "bilinear": (Bilinear, {}, {"mode": "bilinear", "align_corners": False}),
    "corners": (Bilinear, {"align_corners": True}, {"mode": "bilinear", "align_corners": True}),
    "bicubic": (Bicubic, {}, {"mode": "bicubic", "align_corners": False}),
    "bicubic corners": (Bicubic, {"align_corners": True}, {"mode": "bicubic", "align_corners": True}),
}


def keys(t: Tensor) -> Tensor:
    """Keys's cubic convolution with a = -0.75."""
    a, t = -0.75, t.abs()
    near, far = (a + 2) * t**3 - (a + 3) * t**2 + 1, a * (t**3 - 5 * t**2 + 8 * t - 4)
    return torch.where(t <= 1, near, torch.where(t < 2, far, torch.zeros_like(t)))


@pytest.mark.parametrize("name", sorted(MODES))
@pytest.mark.parametrize("size", [(37, 45), (38, 44), (19, 22), (7, 90)])
def test_the_width_may_change_before_or_after(name: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    kind, ours, theirs = MODES[name]
    up = kind(6, 4, None, **ours)
    project = up.project
    assert isinstance(project, nn.Conv2d)
    x = torch.randn(2, 6, 19, 23)
    after = project(F.interpolate(x, size, **theirs))
    torch.testing.assert_close(up(x, size, None), after, rtol=1e-4, atol=1e-5)


def test_bicubic_is_keyss_cubic() -> None:
    torch.manual_seed(0)
    x, length = torch.randn(6, dtype=torch.float64), 15
    places = (torch.arange(length, dtype=torch.float64) + 0.5) * 6 / length - 0.5
    cells = torch.arange(-3, 9)
    line = keys(places[:, None] - cells) @ x[cells.clamp(0, 5)]
    y = Bicubic(1, 1, None)(x.expand(1, 1, 6, 6), (length, length), None)
    torch.testing.assert_close(y[0, 0], line.expand(length, length))


def test_a_map_that_has_its_size_is_left_alone() -> None:
    x = torch.rand(1, 3, 5, 7)
    for kind, ours, _ in MODES.values():
        assert kind(3, 3, None, factor=1, **ours)(x, (5, 7), None) is x
