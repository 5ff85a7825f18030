"""Scenes encoded and decoded by their centers, scored by a slow PQ; targets; crowds, void and other edges."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from densepred.codec.panoptic import Panoptic
from densepred.dataset.shapes import Shapes
from densepred.loader.samples import stack_targets
from densepred.types import VOID, Annotation, Info
from tests.codec.scenes import COWS, INFO, clashes, lost, quality, scene, target_maps, there_and_back
from tests.reference import slow_panoptic_deeplab as slow

SIZES = [(96, 128), (37, 45), (301, 415), (120, 90), (64, 257)]


@pytest.mark.parametrize("size", SIZES)
def test_scenes_come_back_whole_except_things_that_share_a_center(size: tuple[int, int]) -> None:
    scenes = Shapes("train", size=size, counts={"train": 12}, objects=(1, 10))
    codec, whole = Panoptic(scenes.info, stuff_area=0), 0
    truths = [scenes[i].truth for i in range(12)]
    for found, truth in zip(there_and_back(codec, *truths), truths, strict=True):
        missing, excuse = lost(found, truth), clashes(truth)
        assert missing <= 2 * excuse
        if not excuse:
            assert missing == 0
            assert quality(found, truth, scenes.info) == 1
            assert truth.semantic is not None
            assert torch.equal(found.semantic, truth.semantic)
            whole += 1
    assert whole >= (12 if min(size) > 300 else 9 if min(size) > 60 else 3)


def test_targets_are_those_of_a_loop() -> None:
    truth = replace(COWS, instances=COWS.instances)
    codec = Panoptic(INFO, sigma=3.0, small_area=30, small_weight=5.0)
    targets = target_maps(codec, truth)
    assert truth.instances is not None
    _, heat, offset = slow.targets(truth.instances.numpy(), 4, 3.0)
    drawn = targets["center"][0].numpy()
    near = heat > 0
    np.testing.assert_allclose(drawn[near], heat[near], atol=1e-5)
    assert drawn[~near].max() < 0.012  # one pixel more than three sigmas, as in the published code
    np.testing.assert_allclose(targets["offset"].numpy(), offset, atol=1e-4)
    assert torch.equal(targets["offset_weight"], truth.instances > 0)
    assert (targets["center_weight"] == 1).all()
    assert torch.equal(targets["semantic_weight"].float(), torch.where(truth.instances == 3, 5.0, 1.0))
    for weight in (2.5, 300.0):  # no byte holds these
        other = target_maps(Panoptic(INFO, small_area=30, small_weight=weight), truth)["semantic_weight"]
        assert torch.equal(other, torch.where(truth.instances == 3, weight, 1.0))
    assert targets["center"].shape == (1, 60, 80)


def target_maps_of_an_image(codec: Panoptic, truth: Annotation) -> dict[str, Tensor]:
    """Compute the maps image by image and instance by instance, each Gaussian on the whole image, in float32."""
    assert truth.semantic is not None
    labels, ids, single = codec._regions(truth)
    shape, y, x = labels.shape, *torch.meshgrid(*map(torch.arange, labels.shape), indexing="ij")
    heat, crowd_heat, offset, crowds = torch.zeros(shape), torch.zeros(shape), torch.zeros(2, *shape), ids < 0
    reach = math.ceil(3 * codec.sigma + 1)
    for number, alone in enumerate(single.tolist(), 1):
        inside = ids == number
        center = torch.stack([x[inside].double().mean(), y[inside].double().mean()]).float()
        if not alone:
            crowds = crowds | inside
            square = (x - center[0]).square() + (y - center[1]).square()
            first = torch.where(inside, square, torch.inf).argmin()
            center = torch.stack([first % shape[1], first // shape[1]]).float()
        offset[:, inside] = (center[:, None] - torch.stack([x[inside], y[inside]])).float()
        px, py = center.floor() if codec.quantised else center
        near = ((x - (px + 0.5).floor()).abs() <= reach) & ((y - (py + 0.5).floor()).abs() <= reach)
        rows, columns = (
            torch.exp(-((v - p) ** 2) / (2 * torch.tensor(codec.sigma) ** 2)) for v, p in ((y, py), (x, px))
        )
        drawn = torch.where(near, rows * columns, 0)
        heat, crowd_heat = (heat.maximum(drawn), crowd_heat) if alone else (heat, crowd_heat.maximum(drawn))
    labels = labels.masked_fill(crowds, VOID) if codec.ignore_crowd else labels
    known = labels != VOID
    return {
        "semantic": labels,
        "center": torch.where(crowds, crowd_heat, heat)[None],
        "center_weight": known & ~crowds,
        "offset": offset,
        "offset_weight": known & ~crowds & (ids > 0),
    }


@pytest.mark.parametrize("settings", [{}, {"quantised": True}, {"ignore_crowd": True, "sigma": 3.3}], ids=str)
def test_maps_of_a_batch_are_in_every_bit_those_of_single_instances(settings: dict[str, Any]) -> None:
    crowded = replace(COWS, crowd=torch.tensor([False, True, False, False]))
    loose = replace(COWS, instances=torch.where(COWS.instances == 1, 0, COWS.instances))
    hidden = replace(COWS, ignore=torch.rand(60, 80, generator=torch.Generator().manual_seed(0)) < 0.1)
    truths = [COWS, crowded, scene((60, 80)), loose, hidden]
    codec = Panoptic(INFO, **settings)
    found = codec.expand(stack_targets([codec.encode(truth) for truth in truths]))
    for index, truth in enumerate(truths):
        for name, value in target_maps_of_an_image(codec, truth).items():
            assert torch.equal(found[name][index], value), name


@pytest.mark.parametrize(("count", "size"), [(4, 2), (300, 3)])
def test_targets_have_few_bytes_until_they_are_on_the_device(count: int, size: int) -> None:
    regions = [(slice(i // 50 * 8, i // 50 * 8 + 5), slice(i % 50 * 8, i % 50 * 8 + 5), 2) for i in range(count)]
    targets = Panoptic(INFO).encode(scene((300, 400), *regions))
    assert sum(value.nbytes for value in targets.values()) <= size * 300 * 400 + 16 * (count + 1)


def test_quantised_centers_stand_on_the_pixel_that_the_published_code_takes() -> None:
    truth = scene((40, 50), (slice(10, 16), slice(20, 31), 2))  # mean at 25, 12.5
    heat = target_maps(Panoptic(INFO, quantised=True), truth)["center"][0]
    assert (heat == 1).nonzero().tolist() == [[12, 25]]
    offset = target_maps(Panoptic(INFO, quantised=True), truth)["offset"]
    assert offset[:, 10, 20].tolist() == [5, 2.5]
    (found,) = there_and_back(Panoptic(INFO, quantised=True), truth)
    assert lost(found, truth) == 0


def test_crowds_void_and_ignored_pixels_teach_nothing_and_ideal_outputs_hold_them_all() -> None:
    truth = replace(COWS, semantic=COWS.semantic.clone(), crowd=torch.tensor([False, True, False, False]))
    truth.semantic[:, 70:] = VOID
    truth.ignore = torch.zeros(60, 80, dtype=torch.bool)
    truth.ignore[50:, :20] = True
    targets = target_maps(Panoptic(INFO), truth)
    crowd = truth.instances == 2
    unknown = truth.ignore | (truth.semantic == VOID)
    assert torch.equal(targets["center_weight"] == 0, crowd | unknown)
    assert torch.equal(targets["offset_weight"] > 0, (truth.instances > 0) & ~crowd & ~unknown)
    assert (targets["semantic"][crowd] == 2).all()
    assert (targets["semantic"][unknown] == VOID).all()
    alone = target_maps(Panoptic(INFO), replace(truth, crowd=None))["center"]
    assert (targets["center"][0][~crowd] <= alone[0][~crowd]).all()  # the Gaussian of a crowd stays within it
    assert (target_maps(Panoptic(INFO, ignore_crowd=True), truth)["semantic"][crowd] == VOID).all()
    (found,) = there_and_back(Panoptic(INFO, stuff_area=0), truth)
    assert quality(found, replace(truth, semantic=truth.semantic.masked_fill(truth.ignore, VOID)), INFO) == 1


def test_things_without_ids_are_a_crowd() -> None:
    truth = replace(COWS, instances=COWS.instances.clone())
    truth.instances[truth.instances == 2] = 0
    truth.categories = truth.categories[[0, 2, 3]]
    truth.instances = torch.tensor([0, 1, 0, 2, 3], dtype=torch.int32)[truth.instances.long()]
    loose = (truth.semantic == 2) & (truth.instances == 0)
    targets = target_maps(Panoptic(INFO), truth)
    assert torch.equal(targets["center_weight"] == 0, loose)
    assert not targets["offset_weight"][loose].any()
    (found,) = there_and_back(Panoptic(INFO, stuff_area=0), truth)
    assert lost(found, truth) == 0


@pytest.mark.parametrize(
    "info",
    [replace(INFO, things=()), replace(INFO, things=(0, 1, 2, 3)), replace(INFO, things=(1,))],
)
def test_no_things_all_things_and_no_stuff(info: Info) -> None:
    truth = scene((50, 70), (slice(5, 25), slice(4, 30), 2), (slice(5, 25), slice(40, 60), 0))
    if 1 in info.things:  # grass is an instance, too
        truth.instances = torch.where(truth.semantic == 1, 3, truth.instances).int()
        truth.categories = torch.tensor([2, 0, 1])
    truth.semantic[40:, 50:] = VOID
    codec = Panoptic(info, stuff_area=0)
    targets = target_maps(codec, truth)
    assert targets["offset_weight"].any() == bool(info.things)
    (found,) = there_and_back(codec, truth)
    kept = [i for i, c in enumerate(truth.categories.tolist()) if c in info.things]
    assert len(found.categories) == len(kept)
    table = torch.zeros(4, dtype=torch.int32)
    table[torch.tensor(kept, dtype=torch.int64) + 1] = torch.arange(1, len(kept) + 1, dtype=torch.int32)
    things = replace(truth, instances=table[truth.instances.long()], categories=truth.categories[kept])
    things.instances[things.semantic == VOID] = 0
    known = truth.semantic != VOID
    assert torch.equal(found.semantic[known], truth.semantic[known])
    assert quality(found, things, info) == 1


def test_empty_void_and_tiny_images_are_no_trouble() -> None:
    for size in ((1, 1), (5, 3), (33, 47)):
        grass = scene(size)
        dark = replace(grass, semantic=torch.full(size, VOID, dtype=torch.uint8))
        codec = Panoptic(INFO)
        found = there_and_back(codec, grass, dark)
        assert torch.equal(found[0].semantic, grass.semantic)
        for one in found:
            assert (len(one.categories), len(one.scores), int(one.instances.max())) == (0, 0, 0)
        targets = target_maps(codec, dark)
        assert not targets["center_weight"].any()
        assert not targets["offset_weight"].any()
    dot = scene((1, 1), (slice(0, 1), slice(0, 1), 3))
    (found,) = there_and_back(Panoptic(INFO), dot)
    assert (found.instances.tolist(), found.categories.tolist()) == ([[1]], [3])


@pytest.mark.slow
def test_two_thousand_instances_have_ids_beyond_255() -> None:
    size, regions = (400, 500), []
    for number in range(2000):
        y, x = number // 50 * 10, number % 50 * 10
        regions.append((slice(y, y + 7 + number % 3), slice(x, x + 10), 2 + number % 2))
    truth = scene(size, *regions)
    (found,) = there_and_back(Panoptic(INFO, max_detections=3000, stuff_area=0), truth)
    assert len(found.categories) == 2000
    assert lost(found, truth) == 0
    (few,) = there_and_back(Panoptic(INFO, max_detections=200, stuff_area=0), truth)
    assert len(few.categories) == 200


def test_images_of_a_batch_do_not_mix() -> None:
    truths = [COWS, scene((60, 80)), scene((60, 80), (slice(30, 50), slice(10, 70), 3))]
    found = there_and_back(Panoptic(INFO), *truths)
    assert [len(one.categories) for one in found] == [4, 0, 1]
    assert [lost(one, truth) for one, truth in zip(found, truths, strict=True)] == [0, 0, 0]
