"""Every kind of annotation moves together."""

from __future__ import annotations

import math

import pytest
import torch

from densepred.dataset.shapes import Shapes
from densepred.ops.boxes import from_ids
from densepred.ops.geometry.annotation import apply, apply_to_annotation
from densepred.ops.geometry.warp import Matrix, Warp, compose, invert, scaling
from densepred.types import VOID, Annotation, Frame, Sample

TURN: Matrix = invert(((0.95, -0.4, 20.0), (0.4, 0.95, -9.0)))
MIRROR: Matrix = ((-1.0, 0.0, 44.0), (0.0, 1.0, 0.0))


def dots(points: list[tuple[float, float]], size: tuple[int, int] = (60, 70)) -> Sample:
    """A picture with a soft dot at each keypoint, all of one instance each."""
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    image = torch.stack([torch.exp(((x - u) ** 2 + (y - v) ** 2) / -8.0) for u, v in points])
    keypoints = torch.tensor([[[u, v, 2.0] for u, v in points]])
    return Sample(image, Annotation(size, keypoints=keypoints), Frame("dots", size))


def center(layer: torch.Tensor) -> tuple[float, float]:
    y, x = torch.meshgrid(torch.arange(layer.shape[0]), torch.arange(layer.shape[1]), indexing="ij")
    return float((x * layer).sum() / layer.sum()), float((y * layer).sum() / layer.sum())


def bend(size: tuple[int, int]) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(size[0]) / 15, torch.arange(size[1]) / 17, indexing="ij")
    return torch.stack((3 * torch.sin(y), 3 * torch.cos(x)))


@pytest.mark.parametrize(
    "warp",
    [
        Warp(((-1.0, 0.0, 69.0), (0.0, 1.0, 0.0)), (60, 70)),
        Warp(scaling((60, 70), (97, 81)), (97, 81)),
        Warp(compose(scaling((60, 70), (110, 130)), ((1.0, 0.0, 20.0), (0.0, 1.0, 13.0))), (80, 90)),
        Warp(TURN, (70, 80)),
        Warp(TURN, (70, 80), bend((70, 80))),
        Warp(scaling((60, 70), (30, 35)), (30, 35)),
    ],
)
def test_keypoints_follow_drawn_dots(warp: Warp) -> None:
    moved = apply(dots([(30.0, 25.0), (38.5, 33.25)]), warp)
    assert moved.truth.keypoints is not None
    for layer, (x, y, seen) in zip(moved.image - moved.image.amin((1, 2), True), moved.truth.keypoints[0], strict=True):
        layer = torch.where(layer > 0.1, layer, 0)
        assert seen == 2
        assert math.dist(center(layer), (float(x), float(y))) < 0.6


def test_the_matrix_of_the_frame_leads_back_to_the_image() -> None:
    sample = dots([(30.0, 25.0)])
    moved = apply(apply(sample, Warp(TURN, (70, 80))), Warp(scaling((70, 80), (35, 40)), (35, 40)))
    assert moved.truth.keypoints is not None
    x, y = moved.truth.keypoints[0, 0, :2].tolist()
    (a, b, c), (d, e, f) = moved.frame.matrix
    assert math.dist((a * x + b * y + c, d * x + e * y + f), (30.0, 25.0)) < 1e-3
    assert moved.frame.size == (60, 70)


def test_left_and_right_trade_places_in_a_mirror_and_not_in_a_half_turn() -> None:
    keypoints = torch.tensor([[[10.0, 5.0, 2.0], [30.0, 6.0, 1.0], [20.0, 7.0, 2.0]]])
    truth = Annotation((37, 45), keypoints=keypoints)
    mirrored = apply_to_annotation(truth, Warp(MIRROR, (37, 45)), ((0, 1),)).keypoints
    assert mirrored is not None
    assert mirrored.tolist() == [[[14.0, 6.0, 1.0], [34.0, 5.0, 2.0], [24.0, 7.0, 2.0]]]
    turned = apply_to_annotation(truth, Warp(((-1.0, 0.0, 44.0), (0.0, -1.0, 36.0)), (37, 45)), ((0, 1),)).keypoints
    assert turned is not None
    assert turned[0, 0].tolist() == [34.0, 31.0, 2.0]


def test_keypoints_outside_become_unseen_and_unknown_ones_stay_unknown() -> None:
    keypoints = torch.tensor([[[1.0, 1.0, 2.0], [20.0, 20.0, 2.0], [0.0, 0.0, 0.0]]])
    truth = Annotation((37, 45), keypoints=keypoints)
    moved = apply_to_annotation(truth, Warp(((1.0, 0.0, 10.0), (0.0, 1.0, 10.0)), (20, 20))).keypoints
    assert moved is not None
    assert moved[0, :, 2].tolist() == [0.0, 2.0, 0.0]
    assert moved[0, 2].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("matrix", [TURN, ((1.0, 0.0, 40.0), (0.0, 1.0, 30.0)), ((0.5, 0.0, 20.0), (0.0, 0.5, 9.0))])
def test_instances_boxes_and_lists_stay_consistent(matrix: Matrix) -> None:
    data = Shapes(split="train", counts={"train": 12})
    for index in range(12):
        sample = data[index]
        truth = apply(sample, Warp(matrix, (61, 73))).truth
        assert truth.instances is not None
        assert truth.categories is not None
        assert truth.semantic is not None
        assert truth.boxes is not None
        count = len(truth.categories)
        assert all(len(getattr(truth, name)) == count for name in ("keypoints", "boxes", "areas", "crowd"))
        assert int(truth.instances.max()) <= count
        areas = from_ids.areas(truth.instances, count)
        assert torch.equal(truth.areas, areas)
        seen = areas > 0
        assert torch.equal(truth.boxes[seen], from_ids.boxes(truth.instances, count)[seen])
        ids = truth.instances.long()
        assert torch.equal(truth.semantic[ids > 0].long(), truth.categories[ids[ids > 0] - 1])
        assert (truth.instances[truth.semantic == VOID] == 0).all()


def test_boxes_without_a_map_of_ids_are_moved_clipped_and_dropped_when_gone() -> None:
    boxes = torch.tensor([[2.0, 3.0, 12.0, 9.0], [30.0, 30.0, 40.0, 36.0]])
    truth = Annotation((37, 45), boxes=boxes, areas=torch.tensor([60.0, 60.0]), categories=torch.tensor([1, 2]))
    out = apply_to_annotation(truth, Warp(((1.0, 0.0, 5.0), (0.0, 1.0, 0.0)), (20, 20)))
    assert out.boxes is not None
    assert out.areas is not None
    assert out.boxes.tolist() == [[-0.5, 3.0, 7.0, 9.0]]
    assert out.categories.tolist() == [1]  # type: ignore[union-attr]
    assert out.areas.tolist() == pytest.approx([45.0])


def test_void_and_ignore_fill_what_lies_outside() -> None:
    zeros = torch.zeros(4, 5)
    truth = Annotation((4, 5), semantic=zeros.byte(), instances=zeros.int(), ignore=zeros.bool(), image=zeros[None] + 1)
    out = apply_to_annotation(truth, Warp(((1.0, 0.0, -1.0), (0.0, 1.0, 0.0)), (4, 6)))
    assert out.semantic is not None
    assert out.ignore is not None
    assert out.semantic[:, 0].tolist() == [VOID] * 4
    assert out.ignore[:, 0].all()
    assert not out.ignore[:, 1:].any()
    assert out.image is not None
    assert out.image.shape == (1, 4, 6)


def test_an_empty_annotation_stays_empty() -> None:
    sample = Sample(torch.zeros(3, 1, 1, dtype=torch.uint8), Annotation((1, 1)), Frame("x", (1, 1)))
    out = apply(sample, Warp(TURN, (3, 4)))
    assert out.truth == Annotation((3, 4))
    none = Annotation((9, 9), boxes=torch.zeros(0, 4), keypoints=torch.zeros(0, 3, 3), categories=torch.zeros(0).long())
    moved = apply_to_annotation(none, Warp(TURN, (5, 5)))
    assert moved.boxes is not None
    assert moved.boxes.shape == (0, 4)


def test_boxes_of_heads_are_moved_whole_and_dropped_with_their_people() -> None:
    heads = torch.tensor([[2.0, 3.0, 8.0, 11.0], [50.0, 2.0, 56.0, 9.0], [torch.nan] * 4])
    boxes = torch.tensor([[1.0, 2.0, 20.0, 40.0], [45.0, 1.0, 59.0, 30.0], [3.0, 4.0, 10.0, 20.0]])
    moved = apply_to_annotation(Annotation((50, 60), boxes=boxes, head_boxes=heads), Warp(translation(4, 0), (50, 30)))
    assert moved.head_boxes is not None
    assert moved.head_boxes.nan_to_num(-9).tolist() == [[-2.0, 3.0, 4.0, 11.0], [-9.0] * 4]
    bent = apply_to_annotation(Annotation((50, 60), head_boxes=heads), Warp(TURN, (50, 60), bend((50, 60))))
    assert bent.need("head_boxes").isnan().all(1).tolist() == [False, False, True]


def translation(x: float, y: float) -> Matrix:
    """The output begins at (x, y) of the source."""
    return (1.0, 0.0, x), (0.0, 1.0, y)


def occluded() -> Annotation:
    """Return a box behind another one, one of which every pixel is hidden, and the one in front."""
    instances = torch.zeros(37, 45, dtype=torch.int32)
    instances[10:20, 5:25] = 1
    instances[8:22, 14:40] = 3
    boxes = torch.tensor([[4.5, 9.5, 24.5, 19.5], [19.5, 11.5, 29.5, 17.5], [13.5, 7.5, 39.5, 21.5]])
    return Annotation((37, 45), instances=instances, boxes=boxes, areas=torch.tensor([200.0, 60.0, 364.0]))


def test_a_mirror_moves_the_boxes_of_hidden_objects_whole() -> None:
    moved = apply_to_annotation(occluded(), Warp(MIRROR, (37, 45)))
    x0, y0, x1, y1 = occluded().need("boxes").T
    torch.testing.assert_close(moved.need("boxes"), torch.stack((44 - x1, y0, 44 - x0, y1), 1))
    assert moved.need("areas").tolist() == [200, 60, 364]


def test_a_crop_clips_the_boxes_of_hidden_objects_and_drops_those_outside() -> None:
    crop = Warp(((1.0, 0.0, 10.0), (0.0, 1.0, 15.0)), (20, 25))
    moved = apply_to_annotation(occluded(), crop)
    assert moved.need("boxes").tolist() == [[-0.5, -0.5, 14.5, 4.5], [9.5, -0.5, 19.5, 2.5], [3.5, -0.5, 24.5, 6.5]]
    assert moved.need("areas").tolist() == pytest.approx([75, 30, 147])
    left = apply_to_annotation(occluded(), Warp(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), (37, 14)))
    assert left.need("boxes").tolist() == [[4.5, 9.5, 13.5, 19.5]]
    assert left.need("instances").max() == 1


def test_boxes_of_visible_pixels_stay_their_extent() -> None:
    truth = occluded()
    truth.boxes = from_ids.boxes(truth.need("instances"), 3)
    truth.areas = from_ids.areas(truth.need("instances"), 3)
    moved = apply_to_annotation(truth, Warp(TURN, (37, 45)))
    assert moved.need("boxes").tolist() == from_ids.boxes(moved.need("instances"), 2).tolist()
    assert moved.need("areas").tolist() == from_ids.areas(moved.need("instances"), 2).tolist()
