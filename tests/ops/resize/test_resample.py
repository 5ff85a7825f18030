from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from densepred.ops.resize import resample
from densepred.types import VOID

SHAPES = [
    ((2, 5, 6, 7), (24, 28)),
    ((3, 7, 5, 6), (37, 45)),
    ((1, 1, 4, 4), (17, 16)),
    ((2, 255, 3, 3), (9, 8)),
    ((2, 3, 9, 9), (9, 9)),
    ((1, 4, 7, 9), (5, 4)),
    ((1, 3, 1, 1), (4, 3)),
]


@pytest.mark.parametrize("align_corners", [False, True])
def test_resize_is_bilinear_interpolation(align_corners: bool) -> None:
    x = torch.randn(2, 3, 5, 6)
    wanted = F.interpolate(x, (37, 45), mode="bilinear", align_corners=align_corners)
    assert torch.equal(resample.resize(x, (37, 45), align_corners), wanted)


def test_resize_keeps_digits_under_autocast() -> None:
    x = torch.randn(2, 3, 5, 6, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        found = resample.resize(x, (20, 24))
    assert found.dtype == torch.float32
    assert torch.equal(found, F.interpolate(x.float(), (20, 24), mode="bilinear"))


def test_two_channels_are_zero_and_the_logit() -> None:
    x = torch.randn(2, 1, 3, 4)
    assert torch.allclose(resample.two_channels(x).softmax(1)[:, 1:], x.sigmoid(), atol=1e-6)
    assert torch.equal(resample.two_channels(x)[:, 1:], x)
    many = torch.randn(2, 3, 3, 4)
    assert resample.two_channels(many) is many


@pytest.mark.parametrize(("shape", "size"), SHAPES)
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("chunk", [300, 2**20])
def test_argmax_is_the_argmax_of_what_is_enlarged(
    monkeypatch: pytest.MonkeyPatch,
    shape: tuple[int, ...],
    size: tuple[int, int],
    align_corners: bool,
    dtype: torch.dtype,
    chunk: int,
) -> None:
    monkeypatch.setattr(resample, "CHUNK", chunk)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    found = resample.argmax(x, size, align_corners)
    scores = resample.two_channels(resample.resize(x, size, align_corners))
    assert found.dtype == torch.uint8
    differ = scores.amax(1) - scores.gather(1, found[:, None].long())[:, 0]
    assert differ.max() < 1e-6  # scores closer than rounding may change places
    assert (found == scores.argmax(1)).float().mean() > 0.99


def test_ties_go_to_the_first_class() -> None:
    # Integers at a stride of a power of two are enlarged exactly, so these ties are exact.
    x = torch.randint(0, 3, (2, 6, 8, 8)).float()
    assert torch.equal(resample.argmax(x, (32, 32)).long(), resample.resize(x, (32, 32)).argmax(1))
    assert torch.equal(resample.argmax(x, (8, 8)).long(), x.argmax(1))
    assert (resample.argmax(torch.zeros(1, 255, 2, 2), (4, 4)) == 0).all()


def test_logits_that_are_not_numbers_still_give_a_class() -> None:
    x = torch.full((1, 4, 3, 3), float("nan"))
    assert (resample.argmax(x, (6, 6)) != VOID).all()
    assert (resample.argmax(x, (6, 6)) < 4).all()
