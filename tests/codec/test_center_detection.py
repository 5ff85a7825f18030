"""CenterNet: boxes there and back, the heat map of the published program, crowds, resized images and flips."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from densepred.codec.center_detection import CenterDetection
from densepred.errors import UserError
from densepred.ops.geometry.warp import scaling
from densepred.types import Frame, Info
from tests.codec.boxes import INFO, annotation, batch, drawn, found_again, scattered, there_and_back
from tests.reference import slow_detection


@pytest.mark.parametrize("size", [(96, 128), (61, 75)])
def test_drawn_scenes_are_found_again(size: tuple[int, int]) -> None:
    """Exceptions share a location with a smaller box, or have a center beside one of their class."""
    lost = 0
    for index in range(16):
        truth, info = drawn(size, index)
        codec = CenterDetection(info)
        again = found_again(truth, there_and_back(codec, truth))
        assert truth.boxes is not None
        centers = (truth.boxes[:, :2] + truth.boxes[:, 2:]) / 2
        near = ((centers[:, None] - centers).abs() < 2 * codec.stride).all(-1).sum(1) > 1  # itself is one
        assert again[~near].all()
        lost += int((~again).sum())
    assert lost <= 3, "of eighty"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stride", [1, 3, 4])
def test_boxes_of_every_size_come_back(seed: int, stride: int) -> None:
    truth = scattered((333, 500), 30, seed, largest=9.0)
    codec = CenterDetection(INFO, stride=stride)
    found = there_and_back(codec, truth)
    assert found_again(truth, found).sum() >= 29
    assert found.boxes is not None
    assert len(found.boxes) <= 30


def test_heat_is_what_the_published_program_draws() -> None:
    size, grid = (161, 190), (41, 48)
    truth = scattered(size, 30, 3)
    assert truth.boxes is not None
    truth.categories = torch.zeros(30, dtype=torch.int64)
    places, radii = [], []
    for x0, y0, x1, y1 in ((truth.boxes + 0.5) / 4).tolist():  # its frame begins at the outer edge of the first pixel
        places.append((int((x0 + x1) / 2), int((y0 + y1) / 2)))
        wide, high = (-int(-(b - a) // 1) for a, b in ((x0, x1), (y0, y1)))
        radii.append(max(0, int(slow_detection.published_radius(wide, high, 0.7))))
    targets = CenterDetection(INFO).encode(truth)
    assert targets["class"].shape == (7, *grid)
    want = torch.tensor(slow_detection.heat(places, radii, grid))
    torch.testing.assert_close(targets["class"][0], want, rtol=1e-4, atol=1e-6)
    assert (targets["class"][0] == 1).sum() == len(set(places))
    assert max(radii) == 2
    assert not targets["class"][1:].any()


def test_size_and_offset_are_those_of_the_smallest_at_a_cell() -> None:
    truth = annotation((64, 64), (10, 10, 30, 30), (16, 17, 24, 24), (2, 2, 39, 39))
    targets = CenterDetection(INFO).encode(truth)
    ((y, x),) = targets["size_weight"].nonzero().tolist()
    assert (y, x) == (5, 5)
    assert (targets["size"][:, y, x] * 4).tolist() == [8, 7]
    middle = torch.tensor([5 * 4 + 1.5, 5 * 4 + 1.5])
    assert (middle + targets["offset"][:, y, x] * 4).tolist() == [20, 20.5]
    assert (targets["class"][:3, y, x] == 1).all()


def test_a_crowd_counts_only_at_centers() -> None:
    truth = annotation((64, 96), (8, 8, 40, 40), (0, 0, 50, 63.5), crowd=1)
    codec = CenterDetection(INFO)
    weight = codec.encode(truth)["class_weight"]
    assert weight[6, 6] == 1
    assert weight.sum() == 1 + 16 * (24 - 13)
    assert found_again(truth, there_and_back(codec, truth)).tolist() == [True, False]


def test_ignored_pixels_are_background_only_in_boxes() -> None:
    truth = annotation((64, 96), (8, 8, 40, 40))
    truth.ignore = torch.ones(64, 96, dtype=torch.bool)
    truth.ignore[:, 68:] = False
    want = torch.zeros(16, 24)
    want[2:10, 2:10] = 1  # centers of cells at 9.5 to 37.5
    want[:, 17:] = 1
    assert torch.equal(CenterDetection(INFO).encode(truth)["class_weight"], want)


def test_only_things_are_looked_for_and_keep_their_numbers() -> None:
    info = Info(classes=("sky", "cat", "road", "dog"), things=(1, 3), provides=("boxes", "categories"))
    truth = annotation((64, 64), (0, 0, 60, 60), (5, 5, 25, 25), (0, 30, 60, 60), (30, 30, 50, 60))
    found = there_and_back(CenterDetection(info), truth)
    assert found_again(truth, found).tolist() == [False, True, False, True]


@pytest.mark.parametrize("enlarged", [1, 2])
def test_boxes_of_a_resized_image_are_those_of_the_image(enlarged: int) -> None:
    """Also where a model answers at another stride than the codec's."""
    whole = annotation((120, 200), (10.5, 20.5, 90.5, 99.5), (-0.5, -0.5, 199.5, 119.5))
    small = annotation((60, 50), (2.25, 10.0, 22.25, 49.5), (-0.5, -0.5, 49.5, 59.5))
    codec = CenterDetection(INFO)
    frame = Frame("a", (120, 200), scaling((120, 200), (60, 50)), input_size=(60, 50))
    outputs = codec.perfect_outputs(batch(codec, small))
    outputs = {name: F.interpolate(value, scale_factor=enlarged) for name, value in outputs.items()}
    (found,) = codec.decode(outputs, [frame], align_corners=False)
    assert found.size == (120, 200)
    assert found_again(whole, found).all()


def test_a_mirrored_image_unflipped_is_the_image() -> None:
    size = (64, 128)
    truth = scattered(size, 12, 4)
    assert truth.boxes is not None
    x0, y0, x1, y1 = truth.boxes.unbind(1)
    mirrored = replace(truth, boxes=torch.stack([size[1] - 1 - x1, y0, size[1] - 1 - x0, y1], 1))
    codec = CenterDetection(INFO)
    plain, other = (codec.perfect_outputs(batch(codec, one)) for one in (truth, mirrored))
    for name, value in codec.unflip(other).items():
        torch.testing.assert_close(value, plain[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("boxes", [(), ((9.0, 9.0, 9.0, 20.0),), ((-50.0, -50.0, -10.0, -9.0),)])
def test_nothing_to_find_gives_finite_targets_and_no_boxes(
    boxes: tuple[tuple[float, float, float, float], ...],
) -> None:
    truth, codec = annotation((40, 72), *boxes), CenterDetection(INFO)
    targets = batch(codec, truth)
    assert all(value.isfinite().all() for value in targets.values())
    assert targets["size_weight"].sum() == 0
    found = there_and_back(codec, truth)
    assert found.boxes is not None
    assert found.boxes.shape == (0, 4)
    assert found.categories is not None
    assert found.categories.dtype == torch.int64


def test_a_single_pixel_and_what_stands_out_of_the_image_are_found() -> None:
    truth = annotation((40, 72), (0.5, 38.5, 1.5, 39.5), (60.0, -30.0, 90.0, 20.0))
    found = there_and_back(CenterDetection(INFO), truth)
    seen = annotation((40, 72), (0.5, 38.5, 1.5, 39.5), (60.0, -0.5, 71.5, 20.0))
    assert found_again(seen, found).all()


def test_two_thousand_boxes_are_encoded_and_the_best_hundred_found() -> None:
    found = there_and_back(CenterDetection(INFO), scattered((320, 480), 2000, 0, largest=6.0))
    assert found.boxes is not None
    assert len(found.boxes) == 100


@pytest.mark.parametrize(
    ("info", "options", "message"),
    [
        (Info(), {}, "names no classes"),
        (INFO, {"radius": "publisht"}, "did you mean published"),
        (INFO, {"stride": 0}, r"task\.codec\.stride"),
        (INFO, {"overlap": 1.0}, r"task\.codec\.overlap"),
        (INFO, {"prior": 0.0}, r"task\.codec\.prior"),
    ],
)
def test_settings_out_of_range_are_refused_with_the_remedy(info: Info, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        CenterDetection(info, **options)
