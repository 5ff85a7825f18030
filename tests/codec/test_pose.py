"""Heat maps of one person: where joints stand, how they are read, and what flips and crops do to them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from densepred.codec.pose import Pose
from densepred.errors import UserError
from densepred.loss.mse import MeanSquaredError
from densepred.ops.heatmap.gaussian import heatmaps
from densepred.ops.heatmap.subpixel import dark, highest, quarter, udp
from densepred.task import Task
from densepred.types import Annotation, Frame, Info

INFO = Info(
    classes=("person",),
    palette=((9, 9, 9),),
    keypoints=("nose", "left_hand", "right_hand"),
    limbs=((0, 1), (0, 2)),
    mirrored=((1, 2),),
    provides=("keypoints", "boxes"),
)
SIZE = (256, 192)
FRAME = Frame("a", SIZE, instance=0)


def person(*joints: tuple[float, float, float], size: tuple[int, int] = SIZE) -> Annotation:
    return Annotation(size, keypoints=torch.tensor([joints]), boxes=torch.tensor([[0.0, 0, 9, 9]]))


def batched(targets: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value[None] for name, value in targets.items()}


def found(codec: Pose, truth: Annotation) -> Tensor:
    outputs = codec.perfect_outputs(batched(codec.encode(truth)))
    (one,) = codec.decode(outputs, [Frame("a", truth.size, instance=0)], align_corners=False)
    assert one.keypoints is not None
    return one.keypoints[0]


@pytest.mark.parametrize(("decode", "geometry"), [("dark", "cells"), ("dark", "udp"), ("udp", "udp")])
@pytest.mark.parametrize(("size", "stride", "sigma"), [((256, 192), 4, 2.0), ((384, 288), 4, 3.0), ((96, 72), 2, 2.0)])
def test_the_ground_truth_comes_back_within_half_a_pixel(
    decode: str, geometry: str, size: tuple[int, int], stride: int, sigma: float
) -> None:
    codec = Pose(INFO, stride=stride, sigma=sigma, decode=decode, geometry=geometry)
    draw = torch.Generator().manual_seed(0)
    low, high = 2.5 * stride, torch.tensor([size[1], size[0]]) - 1 - 2.5 * stride  # two cells from the border
    for _ in range(100):
        points = low + torch.rand(3, 2, generator=draw) * (high - low)
        truth = person(*[(x, y, 2.0) for x, y in points.tolist()], size=size)
        back = found(codec, truth)
        assert (back[:, :2] - points).abs().max() < 0.5
        assert (back[:, 2] > 0.75).all()


def test_flips_are_refused_if_training_could_not_mirror() -> None:
    task = Task(replace(INFO, mirrored=None), Pose, {"heatmap": MeanSquaredError()}, monitor="")
    with pytest.raises(UserError, match="flip: the keypoints of the training had sides without partners"):
        task.require_mirror()
    Task(INFO, Pose, {"heatmap": MeanSquaredError()}, monitor="").require_mirror()


def errors(refine) -> Tensor:
    """Distances along each axis, in cells, over clean Gaussians with random centers well inside."""
    draw = torch.Generator().manual_seed(1)
    points = torch.tensor([12.0, 12.0]) + torch.rand(4000, 2, generator=draw) * torch.tensor([24.0, 40.0])
    found = []
    for part in points.split(500):
        maps = heatmaps(part, torch.arange(len(part)), len(part), (64, 48), 2.0)[None]
        found.append((refine(maps, highest(maps)[1])[0] - part).abs())
    return torch.cat(found)


def test_sub_pixel_errors_are_those_of_theory() -> None:
    """A center lies up to half a cell from the nearest: a quarter in the mean. The quarter shift halves that."""
    assert errors(lambda heat, cells: cells).mean() == pytest.approx(0.25, rel=0.02)
    assert errors(quarter).mean() == pytest.approx(0.125, rel=0.02)
    assert errors(lambda heat, cells: dark(heat, cells, 11)).mean() < 0.05
    assert errors(lambda heat, cells: udp(heat, cells, 11)).mean() < 0.05


def test_the_blur_of_dark_follows_sigma_as_published() -> None:
    """Kernels of 11 and 17 for a sigma of 2 and 3, as in the code of DARK (arXiv 1910.06278)."""
    assert [Pose(INFO, 4, sigma).blur for sigma in (2.0, 3.0, 0.2)] == [11, 17, 1]


def test_quantised_targets_are_those_of_the_published_program() -> None:
    """Written out from its description: the cell int(x / stride + 0.5), a square of 3 sigma around it."""
    codec = Pose(INFO, quantised=True, geometry="published")
    points = [(5.9, 250.0, 2.0), (101.3, 77.7, 1.0), (191.0, 0.2, 2.0)]
    maps = codec.encode(person(*points))["heatmap"]
    expected = torch.zeros(3, 64, 48)
    for k, (x, y, _) in enumerate(points):
        mx, my = int(x / 4 + 0.5), int(y / 4 + 0.5)
        for row in range(max(0, my - 6), min(64, my + 7)):
            for column in range(max(0, mx - 6), min(48, mx + 7)):
                expected[k, row, column] = math.exp(-((row - my) ** 2 + (column - mx) ** 2) / 8)
    torch.testing.assert_close(maps, expected)


def test_unlabelled_joints_have_no_weight_and_hidden_ones_what_is_asked() -> None:
    targets = Pose(INFO, occluded=0.5).encode(person((50.0, 50.0, 2.0), (60.0, 60.0, 1.0), (0.0, 0.0, 0.0)))
    assert targets["heatmap_weight"].flatten().tolist() == [1.0, 0.5, 0.0]
    assert targets["heatmap"][2].abs().max() == 0


def test_a_crop_that_shows_nothing_of_a_person_teaches_nothing() -> None:
    empty = Annotation(SIZE, keypoints=torch.zeros(0, 3, 3), boxes=torch.zeros(0, 4))
    targets = Pose(INFO).encode(empty)
    assert targets["heatmap"].shape == (3, 64, 48)
    assert targets["heatmap"].abs().max() == 0
    assert targets["heatmap_weight"].tolist() == [[[0.0]]] * 3


@pytest.mark.parametrize("geometry", ["cells", "udp"])
def test_the_mirror_image_of_maps_is_that_of_the_person(geometry: str) -> None:
    codec = Pose(INFO, geometry=geometry)
    points = [(31.3, 40.2, 2.0), (100.7, 90.1, 2.0), (150.2, 200.9, 2.0)]
    nose, left, right = [(SIZE[1] - 1 - x, y, v) for x, y, v in points]
    mirrored = codec.encode(person(nose, right, left))
    back = codec.unflip({"heatmap": mirrored["heatmap"][None]})["heatmap"][0]
    torch.testing.assert_close(back, codec.encode(person(*points))["heatmap"], atol=1e-5, rtol=0)


def test_published_maps_mirror_best_when_shifted_by_a_cell() -> None:
    points = [(31.3, 40.2, 2.0), (100.7, 90.1, 2.0), (150.2, 200.9, 2.0)]
    nose, left, right = [(SIZE[1] - 1 - x, y, v) for x, y, v in points]
    distance = {}
    for shift in (False, True):
        codec = Pose(INFO, geometry="published", shift_heatmap=shift)
        back = codec.unflip({"heatmap": codec.encode(person(nose, right, left))["heatmap"][None]})
        (one,) = codec.decode(back, [FRAME], align_corners=False)
        assert one.keypoints is not None
        distance[shift] = (one.keypoints[0, :, 0] - torch.tensor([p[0] for p in points])).abs().max()
    assert distance[False] == pytest.approx(3, abs=0.1)  # x to 191 - x, but cells to 4 (47 - i): 188 - x
    assert distance[True] == pytest.approx(1, abs=0.1)


def test_joints_return_to_the_image_through_the_crop() -> None:
    turn = ((0.0, -0.5, 300.0), (0.5, 0.0, 20.0))  # a quarter turn, half the size, moved
    truth = person((40.0, 60.0, 2.0), (100.0, 90.0, 2.0), (150.0, 200.0, 2.0))
    codec = Pose(INFO)
    outputs = codec.perfect_outputs(batched(codec.encode(truth)))
    (one,) = codec.decode(outputs, [Frame("a", (400, 400), turn, 0, SIZE)], align_corners=False)
    assert one.keypoints is not None
    assert one.size == (400, 400)
    expected = torch.tensor([[300 - 30.0, 20 + 20.0], [300 - 45.0, 20 + 50.0], [300 - 100.0, 20 + 75.0]])
    torch.testing.assert_close(one.keypoints[0, :, :2], expected, atol=0.25, rtol=0)


def test_cold_maps_give_no_joint() -> None:
    codec = Pose(INFO)
    heat = torch.full((1, 3, 64, 48), -0.1)
    heat[0, 1, 30, 20] = 0.9
    (one,) = codec.decode({"heatmap": heat}, [FRAME], align_corners=False)
    assert one.keypoints is not None
    assert one.scores is not None
    assert one.keypoints[0, [0, 2]].tolist() == [[0.0, 0.0, 0.0]] * 2
    assert one.keypoints[0, 1, 2] == pytest.approx(0.9)
    assert one.scores.tolist() == pytest.approx([0.9])  # the mean over joints above the threshold


def scored(points: Tensor, confidence: float, area: float = 400.0) -> Annotation:
    keypoints = torch.cat([points, torch.full((len(points), 1), confidence)], 1)[None]
    return Annotation(SIZE, keypoints=keypoints, scores=torch.tensor([confidence]), areas=torch.tensor([area]))


def test_every_labelled_box_has_its_row() -> None:
    given = Annotation(SIZE, boxes=torch.zeros(4, 4), categories=torch.zeros(4, dtype=torch.int64))
    points = torch.arange(6.0).view(3, 2)
    frames = [Frame("a", SIZE, instance=i) for i in (3, 1)]
    out = Pose(INFO).merge_instances([scored(points, 0.8), scored(points + 9, 0.5)], frames, given)
    assert out.scores is not None
    assert out.keypoints is not None
    assert out.scores.tolist() == pytest.approx([0.0, 0.5, 0.0, 0.8])
    assert out.keypoints[[0, 2]].abs().max() == 0
    assert torch.equal(out.keypoints[3, :, :2], points)


def test_an_image_without_people_has_an_empty_prediction() -> None:
    given = Annotation(SIZE, boxes=torch.zeros(0, 4), categories=torch.zeros(0, dtype=torch.int64))
    for scores in (None, torch.zeros(0)):
        given.scores = scores
        out = Pose(INFO).merge_instances([], [], given)
        assert out.keypoints is not None
        assert out.keypoints.shape == (0, 3, 3)


def test_of_a_person_detected_twice_the_better_stays() -> None:
    boxes = torch.tensor([[0.0, 0, 20, 20], [1.0, 0, 21, 20], [50.0, 50, 70, 70]])
    given = Annotation(SIZE, boxes=boxes, scores=torch.tensor([0.5, 0.9, 0.8]))
    points = torch.tensor([[3.0, 3.0], [10.0, 10.0], [15.0, 18.0]])
    frames = [Frame("a", SIZE, instance=i) for i in range(3)]
    out = Pose(INFO).merge_instances(
        [scored(points, 0.9), scored(points + 0.1, 0.9), scored(points + 50, 0.9)], frames, given
    )
    assert out.scores is not None
    assert out.boxes is not None
    assert out.scores.tolist() == pytest.approx([0.81, 0.72])
    assert torch.equal(out.boxes, boxes[[1, 2]])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decode": "drak"}, "drak"),
        ({"geometry": "exact"}, "geometry"),
        ({"sigma": 0.0}, "sigma"),
        ({"blur": 4}, "odd number"),
        ({"nms": 90}, r"task\.codec\.nms: 90; give a number from 0 to 1"),
        ({"joint_threshold": -1}, r"task\.codec\.joint_threshold"),
        ({"occluded": -1.0}, r"task\.codec\.occluded: -1\.0; give 0 or more"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Pose(INFO, **settings)
