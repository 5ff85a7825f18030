"""Merging of pixels, centers and stuff against loops; probabilities against enlarging them all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from densepred.ops.regions.merge import mean_probabilities, merge, without_unsure
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
    full = F.interpolate(logits.softmax(0)[None], size, mode="bilinear", align_corners=align_corners)[0]
    want = torch.stack([full[c][ids == i + 1].mean() for i, c in enumerate(categories.tolist())])
    torch.testing.assert_close(mean_probabilities(logits, ids, categories, align_corners), want)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("kept", [0, 1, 4, 8])
def test_segments_below_a_mean_probability_become_void(kept: int, align_corners: bool) -> None:
    labels, offset, points = noise(5, 5)
    logits = torch.randn(6, 9, 11, generator=torch.Generator().manual_seed(1)) * 3
    before = merge(labels, offset, points, flags(THINGS), 0, 0)
    full = F.interpolate(logits.softmax(0)[None], labels.shape, mode="bilinear", align_corners=align_corners)[0]
    regions = [(label, before.semantic == label) for label in (0, 2, 5)]
    regions += [(label, before.instances == i) for i, label in enumerate(before.categories.tolist(), 1)]
    assert len(regions) == 8
    means = [float(full[label][inside].mean()) for label, inside in regions]
    least = (sorted([0.0, *means, 1.0])[8 - kept] + sorted([0.0, *means, 1.0])[9 - kept]) / 2

    semantic, ids, classes, centers = before.semantic.clone(), torch.zeros_like(before.instances), [], []
    for number, ((label, inside), mean) in enumerate(zip(regions, means, strict=True)):
        if mean < least:
            semantic[inside] = VOID
        elif number >= 3:
            classes.append(label)
            centers.append(int(before.centers[number - 3]))
            ids[inside] = len(classes)
    found = without_unsure(before, logits, flags(THINGS), least, align_corners)
    assert torch.equal(found.semantic, semantic)
    assert torch.equal(found.instances, ids)
    assert (found.categories.tolist(), found.centers.tolist()) == (classes, centers)
    assert len(set(found.semantic.unique().tolist()) & {0, 2, 5}) + len(classes) == kept
