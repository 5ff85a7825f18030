"""FCOS: boxes there and back, crowds, resized images, flips, and images with nothing in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from densepred.codec.fcos import FCOS
from densepred.errors import UserError
from densepred.ops.boxes.assign import pyramid_locations
from densepred.ops.geometry.warp import scaling
from densepred.types import Annotation, Frame, Info
from tests.codec.boxes import INFO, annotation, batch, drawn, found_again, scattered, there_and_back
from tests.reference.slow_detection import assigned


@pytest.mark.parametrize("size", [(96, 128), (61, 75)])
def test_drawn_scenes_are_found_again(size: tuple[int, int]) -> None:
    """All boxes for which a cell is left: small ones may hold no point, and larger ones may be covered by smaller."""
    total = 0
    for index in range(16):
        truth, info = drawn(size, index)
        assert truth.boxes is not None
        codec = FCOS(info, strides=(4, 8, 16, 32))
        owners = assigned(truth.boxes.tolist(), size, (4, 8, 16, 32), 8.0, 1.5)
        seen = torch.tensor([number in owners for number in range(len(truth.boxes))])
        again = found_again(truth, there_and_back(codec, truth))
        assert torch.equal(again, seen)
        total += int((~seen).sum())
    assert total <= 6, "of eighty"


@pytest.mark.parametrize("seed", range(3))
def test_boxes_of_every_size_come_back_on_every_level(seed: int) -> None:
    truth = scattered((333, 500), 40, seed, largest=9.0)
    assert truth.boxes is not None
    codec = FCOS(INFO)
    owners = assigned(truth.boxes.tolist(), truth.size, codec.strides, 8.0, 1.5)
    seen = torch.tensor([number in owners for number in range(len(truth.boxes))])
    found = there_and_back(codec, truth)
    again = found_again(truth, found)
    assert torch.equal(again[seen], torch.ones(int(seen.sum()), dtype=torch.bool))
    assert not again[~seen].any()
    assert found.boxes is not None
    assert len(found.boxes) == seen.sum(), "and nothing else"


@pytest.mark.parametrize(("side", "level"), [(20, 0), (70, 0), (160, 1), (300, 2), (520, 3), (1400, 4)])
def test_each_size_has_its_level(side: float, level: int) -> None:
    truth = annotation((1500, 1500), (11.3, 17.1, 11.3 + side, 17.1 + side))
    codec = FCOS(INFO)
    positive = codec.encode(truth)["distances_weight"].split(
        pyramid_locations(truth.size, codec.strides, corner=False).lengths
    )
    assert [bool(part.any()) for part in positive] == [number == level for number in range(5)]
    assert found_again(truth, there_and_back(codec, truth)).all()


def test_a_crowd_is_neither_object_nor_background() -> None:
    truth = annotation((64, 96), (8, 8, 40, 40), (0, 0, 95.5, 63.5), crowd=1)
    codec = FCOS(INFO)
    targets = codec.encode(truth)
    points = pyramid_locations(truth.size, codec.strides, corner=False).points
    inside = (points[:, 0] <= 95.5) & (points[:, 1] <= 63.5)
    positive = targets["distances_weight"] > 0
    assert positive.any()
    assert torch.equal(targets["class_weight"] > 0, positive | ~inside)
    assert not targets["class"][1].any()
    assert found_again(truth, there_and_back(codec, truth)).tolist() == [True, False]


def test_ignored_pixels_are_background_only_in_boxes() -> None:
    truth = annotation((64, 96), (8, 8, 40, 40))
    truth.ignore = torch.ones(64, 96, dtype=torch.bool)
    truth.ignore[:, 70:] = False
    codec = FCOS(INFO)
    points = pyramid_locations(truth.size, codec.strides, corner=False).points
    boxed = ((points >= 8) & (points <= 40)).all(1)
    outside = (points[:, 0] + 0.5).floor() >= 70
    assert torch.equal(codec.encode(truth)["class_weight"] > 0, boxed | outside)


def test_only_things_are_looked_for_and_keep_their_numbers() -> None:
    info = Info(classes=("sky", "cat", "road", "dog"), things=(1, 3), provides=("boxes", "categories"))
    truth = annotation((64, 64), (0, 0, 60, 60), (5, 5, 25, 25), (0, 30, 60, 60), (30, 30, 50, 60))
    codec = FCOS(info)
    assert codec.heads["class"].channels == 2
    assert codec.heads["class"].names == ("cat", "dog")
    found = there_and_back(codec, truth)
    assert found.categories is not None
    assert sorted(found.categories.tolist()) == [1, 3]
    assert found_again(truth, found).tolist() == [False, True, False, True]


def test_boxes_of_a_resized_image_are_those_of_the_image() -> None:
    whole = annotation((120, 200), (10.5, 20.5, 90.5, 99.5), (-0.5, -0.5, 199.5, 119.5))
    small = annotation((60, 50), (2.25, 10.0, 22.25, 49.5), (-0.5, -0.5, 49.5, 59.5))
    codec = FCOS(INFO)
    frame = Frame("a", (120, 200), scaling((120, 200), (60, 50)), input_size=(60, 50))
    (found,) = codec.decode(codec.perfect_outputs(batch(codec, small)), [frame], align_corners=False)
    assert found.size == (120, 200)
    assert found_again(whole, found).all()


@pytest.mark.parametrize("size", [(64, 128), (128, 256)])
def test_a_mirrored_image_unflipped_level_by_level_is_the_image(size: tuple[int, int]) -> None:
    truth = scattered(size, 12, 4)
    assert truth.boxes is not None
    x0, y0, x1, y1 = truth.boxes.unbind(1)
    mirrored = replace(truth, boxes=torch.stack([size[1] - 1 - x1, y0, size[1] - 1 - x0, y1], 1))
    codec = FCOS(INFO, strides=(8, 16, 32, 64))
    plain, other = (codec.perfect_outputs(batch(codec, one)) for one in (truth, mirrored))
    start = 0
    for stride in codec.strides:
        shape = (size[0] // stride, size[1] // stride)
        part = slice(start, start + shape[0] * shape[1])
        start = part.stop
        want = {name: value[..., part].unflatten(-1, shape) for name, value in plain.items()}
        level = {name: value[..., part].unflatten(-1, shape) for name, value in other.items()}
        for name, value in codec.unflip(level).items():
            torch.testing.assert_close(value, want[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("boxes", [(), ((3.5, 4.5, 4.5, 5.5),), ((9.0, 9.0, 9.0, 20.0),), ((-50.0, -50.0, -10, -9),)])
def test_nothing_that_holds_a_point_gives_finite_targets_and_no_boxes(
    boxes: tuple[tuple[float, float, float, float], ...],
) -> None:
    """No box, one pixel between points, no area, outside."""
    truth, codec = annotation((40, 72), *boxes), FCOS(INFO)
    targets = batch(codec, truth)
    assert all(value.isfinite().all() for value in targets.values())
    assert targets["distances_weight"].sum() == 0
    found = there_and_back(codec, truth)
    assert found.boxes is not None
    assert found.boxes.shape == (0, 4)
    assert found.scores is not None
    assert found.scores.shape == (0,)


def test_a_pixel_that_is_a_point_is_found() -> None:
    truth = annotation((40, 72), (3.0, 3.0, 4.0, 4.0))
    assert found_again(truth, there_and_back(FCOS(INFO), truth)).all()


def test_boxes_partly_outside_are_learnt_whole_and_found_clipped() -> None:
    truth = annotation((64, 64), (-20.0, 10.0, 30.0, 50.0))
    codec = FCOS(INFO)
    targets = codec.encode(truth)
    assert targets["distances"][0].max() * 8 > 20
    found = there_and_back(codec, truth)
    assert found.boxes is not None
    torch.testing.assert_close(found.boxes, torch.tensor([[-0.5, 10.0, 30.0, 50.0]]))


def test_two_thousand_boxes_are_encoded_and_the_best_hundred_found() -> None:
    truth = scattered((320, 480), 2000, 0, largest=6.0)
    found = there_and_back(FCOS(INFO), truth)
    assert found.boxes is not None
    assert len(found.boxes) == 100
    assert found.scores is not None
    assert torch.equal(found.scores, found.scores.sort(descending=True).values)


def test_images_of_a_batch_do_not_mix() -> None:
    codec = FCOS(INFO)
    truths = [scattered((96, 128), count, count) for count in (3, 0, 9)]
    alone = [there_and_back(codec, truth) for truth in truths]
    outputs = codec.perfect_outputs(batch(codec, *truths))
    together = codec.decode(outputs, [Frame(str(i), (96, 128)) for i in range(3)], align_corners=False)
    for one, two in zip(alone, together, strict=True):
        assert one.boxes is not None
        assert two.boxes is not None
        assert torch.equal(one.boxes, two.boxes)


@pytest.mark.parametrize(
    ("info", "options", "message"),
    [
        (Info(), {}, "names no classes"),
        (INFO, {"strides": [8]}, r"task\.codec\.strides.*two or more"),
        (INFO, {"strides": [16, 8]}, r"task\.codec\.strides"),
        (INFO, {"points": "middel"}, "did you mean middle"),
        (INFO, {"max_detections": 0}, r"task\.codec\.max_detections"),
        (INFO, {"regress_range": 0}, "regress_range 0"),
        (INFO, {"prior": 1.0}, r"task\.codec\.prior"),
        (INFO, {"nms": 60}, r"task\.codec\.nms: 60; give a number from 0 to 1"),
        (INFO, {"score_threshold": 1.0}, r"task\.codec\.score_threshold: 1\.0"),
    ],
)
def test_settings_out_of_range_are_refused_with_the_remedy(info: Info, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        FCOS(info, **options)


def test_corners_have_no_mirror_image() -> None:
    codec = FCOS(INFO, points="corner")
    with pytest.raises(UserError, match=r"points=corner"):
        codec.unflip(codec.perfect_outputs(batch(codec, annotation((64, 64), (1, 1, 30, 30)))))


def test_categories_without_a_channel_are_passed_over() -> None:
    truth = Annotation((64, 64), boxes=torch.tensor([[1.0, 1, 30, 30]] * 3), categories=torch.tensor([99, -1, 255]))
    assert FCOS(INFO).encode(truth)["distances_weight"].sum() == 0
