"""Scores of a perfect model at coarse strides, against class maps enlarged by torch's own interpolation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from densepred.inspection import coarse
from densepred.inspection.facts import STRIDES


def discs(height: int, width: int) -> torch.Tensor:
    """Draw a large disc, a thin line and a void corner."""
    rows, columns = np.mgrid[:height, :width]
    labels = ((rows - 20) ** 2 + (columns - 22) ** 2 < 150).astype(np.uint8)
    labels[:, 40:42] = 2
    labels[-5:, :7] = 255
    return torch.from_numpy(labels)


@pytest.mark.parametrize("stride", [2, 8])
def test_shares_are_enlarged_as_logits_are(stride: int) -> None:
    labels = discs(40, 48)  # multiples of the stride, so that torch needs no padding
    shares = torch.stack([F.avg_pool2d((labels == kind)[None].float(), stride)[0] for kind in range(3)])
    shares /= shares.sum(0).clamp(min=1e-6)
    expected = F.interpolate(shares[None], (40, 48), mode="bilinear", align_corners=False)[0].argmax(0)
    known = labels != 255
    both = [int(((expected == kind) & (labels == kind) & known).sum()) for kind in range(3)]
    union = [int((((expected == kind) | (labels == kind)) & known).sum()) for kind in range(3)]
    found = coarse.counts(labels, 4)[STRIDES.index(stride)]
    assert found == (*zip(both, union, strict=True), (0, 0))


def test_odd_sizes_and_void_maps_are_compared() -> None:
    scores = coarse.mean_ious([coarse.counts(discs(37, 45), 3), coarse.counts(torch.full((9, 9), 255).byte(), 3)])
    assert list(scores) == list(STRIDES)
    assert sorted(scores.values(), reverse=True) == list(scores.values())
    assert scores[2] > 0.95
    assert scores[32] < 0.7
    assert coarse.mean_ious([coarse.counts(torch.full((9, 9), 255).byte(), 3)]) == {}


def test_the_stride_is_the_largest_that_keeps_nine_tenths() -> None:
    assert coarse.stride({2: 0.97, 4: 0.9, 8: 0.89}) == 4
    assert coarse.stride({2: 0.5}) == 1
    assert coarse.stride({}) is None
