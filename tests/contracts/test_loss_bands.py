"""Losses of sums, taken in bands of rows: the same sums and gradients as in one piece."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from densepred.ops.resize import resample
from tests.contracts.test_loss import (
    CASES,
    bands_of,
    both,
    every_summed_loss,
    every_summed_loss_briefly,
    scene,
    summed,
    taken,
)

SHAPES = [((10, 12), (37, 45)), ((37, 45), (37, 45)), ((5, 6), (40, 48)), ((3, 16), (48, 64)), ((1, 1), (5, 4))]
MODES = [(False, False, 700), (True, True, 700), (True, False, 2**20)]
"""Weighted, align_corners, and numbers per band."""


def unlike(loss: int) -> list[tuple[int, int]]:
    """Return pairs of shape and mode: every loss has every shape and every mode, and all pairs occur among losses."""
    return [(shape, (shape + loss) % len(MODES)) for shape in range(len(SHAPES))]


BANDED = [
    pytest.param(*SHAPES[shape], *MODES[mode], *case, marks=[] if (shape, mode) in unlike(n) else pytest.mark.slow)
    for n, case in enumerate(case for case in CASES if summed(*case) is not None)
    for shape in range(len(SHAPES))
    for mode in range(len(MODES))
]


@pytest.mark.parametrize(("coarse", "size", "weighted", "align_corners", "chunk", "name", "change"), BANDED)
def test_bands_give_what_one_piece_gives(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    change: dict[str, Any],
    weighted: bool,
    align_corners: bool,
    coarse: tuple[int, int],
    size: tuple[int, int],
    chunk: int,
) -> None:
    monkeypatch.setattr(resample, "CHUNK", chunk)
    loss = summed(name, change)
    assert loss is not None
    (plain, wanted), (bands, found) = both(loss, scene(loss, coarse, size, weighted=weighted), align_corners)
    torch.testing.assert_close(bands, plain, rtol=1e-6, atol=1e-7)
    assert (found - wanted).abs().max() <= 5e-6 * wanted.abs().max()


@every_summed_loss_briefly
def test_gradients_of_bands_are_those_of_one_piece_in_double_precision(
    monkeypatch: pytest.MonkeyPatch, name: str, change: dict[str, Any]
) -> None:
    """Each sum by itself; `test_gradients_pass_a_check_by_differences` checks the gradient of one piece."""
    monkeypatch.setattr(resample, "CHUNK", 35)
    loss = summed(name, change)
    assert loss is not None
    loss = loss.double()
    given = scene(loss, (3, 1), (7, 5), images=2, weighted=True, dtype=torch.float64)
    whole = taken(loss.statistics, resample.resize(given.pred, (7, 5), False), given).flatten()
    bands = bands_of(loss, given).flatten()
    torch.testing.assert_close(bands, whole, rtol=1e-9, atol=1e-12)
    for found, wanted in zip(bands, whole, strict=True):
        slopes = [torch.autograd.grad(x, given.pred, retain_graph=True)[0] for x in (found, wanted)]
        torch.testing.assert_close(*slopes, rtol=1e-8, atol=1e-12)


@pytest.mark.slow
@every_summed_loss
def test_gradients_of_bands_pass_a_check_by_differences(
    monkeypatch: pytest.MonkeyPatch, name: str, change: dict[str, Any]
) -> None:
    """Slow because both halves are in `make test`: bands equal one piece, and one piece passes this check."""
    monkeypatch.setattr(resample, "CHUNK", 35)
    loss = summed(name, change)
    assert loss is not None
    loss = loss.double()
    given = scene(loss, (3, 1), (7, 5), images=2, weighted=True, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: bands_of(loss, given._replace(pred=x)), (given.pred,))
