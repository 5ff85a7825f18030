"""Merging of pixels, centers and stuff against loops; probabilities against enlarging them all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from densepred.ops.regions.merge import Segments, mean_probabilities, merge
from densepred.types import VOID
from tests.reference import slow_panoptic_deeplab as slow

THINGS = (1, 3, 4)


def flags(things: tuple[int, ...]) -> torch.Tensor:
    table = torch.zeros(VOID + 1, dtype=torch.bool)
    table[list(things)] = True
    return table


def noise(seed: int, centers: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 6, (5, 6)).repeat(6, 0).repeat(6, 1)[:27, :33].astype(np.uint8)
    blocks[random.random(blocks.shape) < 0.1] = random.integers(0, 6)
    blocks[0, :3] = VOID
    offset = torch.from_numpy(random.normal(0, 6, (2, 27, 33)).astype(np.float32))
    points = random.uniform(0, 33, (centers, 2)).astype(np.float32)
    return torch.from_numpy(blocks), offset, torch.from_numpy(points)


@pytest.mark.parametrize("centers", [0, 1, 5, 40])
@pytest.mark.parametrize(("things", "thing_area", "stuff_area"), [(THINGS, 0, 0), (THINGS, 9, 60), ((), 0, 60)])
def test_segments_are_those_of_loops(
    centers: int, things: tuple[int, ...], thing_area: float, stuff_area: float
) -> None:
    labels, offset, points = noise(centers, centers)
    found = merge(labels, offset, points, flags(things), thing_area, stuff_area)
    semantic, ids, classes = slow.merge(
        labels.numpy(), offset.numpy(), points.numpy(), set(things), thing_area, stuff_area
    )
    assert np.array_equal(found.semantic.numpy(), semantic)
    assert np.array_equal(found.instances.numpy(), ids)
    assert found.categories.tolist() == classes
    assert found.instances.dtype == torch.int32


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(7, 9), (28, 36), (20, 41), (5, 6)])
def test_scores_are_means_of_enlarged_probabilities(size: tuple[int, int], align_corners: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 7, 9, generator=generator)
    ids = torch.randint(0, 4, size, generator=generator, dtype=torch.int32)
    categories = torch.tensor([2, 0, 2])
    segments = Segments(torch.zeros(size, dtype=torch.uint8), ids, categories, categories)
    full = F.interpolate(logits.softmax(0)[None], size, mode="bilinear", align_corners=align_corners)[0]
    want = torch.stack([full[c][ids == i + 1].mean() for i, c in enumerate(categories.tolist())])
    torch.testing.assert_close(mean_probabilities(logits, segments, align_corners), want)
