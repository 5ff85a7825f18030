"""Two samples combined by a region. tests/transform/test_mixing.py compares annotations with the pixels of scenes."""

from __future__ import annotations

import torch

from densepred.ops.geometry.overlay import fitted, overlay
from densepred.types import VOID, Annotation, Frame, Sample

LEFT = torch.zeros(4, 6, dtype=torch.bool)
LEFT[:, :3] = True


def sample(value: int, truth: Annotation) -> Sample:
    return Sample(torch.full((1, *truth.size), value, dtype=torch.uint8), truth, Frame(str(value), truth.size))


def test_all_maps_come_from_the_side_of_their_image() -> None:
    first, second = (
        Annotation((4, 6), semantic=torch.full((4, 6), n, dtype=torch.uint8), ignore=torch.full((4, 6), n == 2))
        for n in (1, 2)
    )
    out = overlay(sample(10, first), sample(20, second), LEFT)
    assert torch.equal(out.image[0], torch.where(LEFT, 20, 10).to(torch.uint8))
    assert torch.equal(out.truth.need("semantic"), torch.where(LEFT, 2, 1).to(torch.uint8))
    assert torch.equal(out.truth.need("ignore"), LEFT)
    assert out.frame.id == "10"
    assert first.semantic is not None
    assert (first.semantic == 1).all()


def test_regions_to_ignore_stay_beside_a_sample_without_any() -> None:
    some, none = Annotation((4, 6), ignore=torch.ones(4, 6, dtype=torch.bool)), Annotation((4, 6))
    assert torch.equal(overlay(sample(1, some), sample(2, none), LEFT).truth.need("ignore"), ~LEFT)
    assert torch.equal(overlay(sample(1, none), sample(2, some), LEFT).truth.need("ignore"), LEFT)
    assert overlay(sample(1, none), sample(2, none), LEFT).truth.ignore is None


def test_instances_without_pixels_go_with_the_center_of_their_box() -> None:
    """The first object has two pixels, the second is hidden from the start, as behind the first."""
    ids = torch.zeros(4, 6, dtype=torch.int32)
    ids[1, 4:] = 1
    boxes = torch.tensor([[3.5, 0.5, 5.5, 1.5], [0.0, 0.0, 2.0, 2.0], [3.0, 0.0, 5.0, 2.0]])
    given = Annotation((4, 6), instances=ids, boxes=boxes, categories=torch.tensor([5, 6, 7]))
    empty = Annotation(
        (4, 6), instances=torch.zeros_like(ids), boxes=torch.zeros(0, 4), categories=torch.zeros(0).long()
    )
    out = overlay(sample(1, given), sample(2, empty), LEFT).truth
    assert out.need("categories").tolist() == [5, 7]
    assert torch.equal(out.need("boxes"), boxes[[0, 2]])
    out = overlay(sample(1, empty), sample(2, given), LEFT).truth
    assert out.need("categories").tolist() == [6]
    assert not out.need("instances").any()


def test_numbers_of_the_second_follow_those_of_the_first() -> None:
    ids = torch.tensor([[1, 1, 2, 2, 3, 3]] * 4, dtype=torch.int32)
    first, second = (
        Annotation((4, 6), instances=ids.clone(), categories=torch.tensor([n, n + 1, n + 2])) for n in (10, 20)
    )
    out = overlay(sample(1, first), sample(2, second), LEFT).truth
    assert out.need("instances")[0].tolist() == [3, 3, 4, 1, 2, 2]
    assert out.need("categories").tolist() == [11, 12, 20, 21]
    assert (out.count, out.need("instances").dtype) == (4, torch.int32)


def test_pixels_of_no_instance_stay_so_on_both_sides() -> None:
    ids = torch.tensor([[0, 1, 0, 0, 1, 0]] * 4, dtype=torch.int32)
    given = [Annotation((4, 6), instances=ids.clone(), categories=torch.tensor([n])) for n in (1, 2)]
    out = overlay(sample(1, given[0]), sample(2, given[1]), LEFT).truth
    assert out.need("instances")[0].tolist() == [0, 2, 0, 0, 1, 0]


def test_points_beyond_an_edge_are_looked_up_at_the_edge() -> None:
    """The labelled keypoints lie beyond each corner; those on the other sample's side are hidden."""
    ids = torch.ones(4, 6, dtype=torch.int32)
    points = torch.tensor([[[-3.0, -3.0, 2.0], [9.0, -3.0, 2.0], [-3.0, 9.0, 2.0], [9.0, 9.0, 2.0]]])
    given = Annotation((4, 6), instances=ids, keypoints=points)
    nothing = Annotation((4, 6), instances=torch.zeros_like(ids), keypoints=torch.zeros(0, 4, 3))
    out = overlay(sample(1, given), sample(2, nothing), LEFT).truth
    assert out.need("keypoints")[0, :, 2].tolist() == [0, 2, 0, 2]


def test_rows_are_lost_only_where_one_of_two_with_instances_lacks_them() -> None:
    ids = torch.ones(4, 6, dtype=torch.int32)
    rich = Annotation((4, 6), instances=ids, areas=torch.tensor([24.0]), crowd=torch.tensor([False]))
    poor = Annotation((4, 6), instances=ids.clone(), areas=torch.tensor([24.0]))
    out = overlay(sample(1, rich), sample(2, poor), LEFT).truth
    assert out.need("areas").tolist() == [12, 12]
    assert out.crowd is None
    nothing = Annotation((4, 6), instances=torch.zeros_like(ids))
    assert overlay(sample(1, rich), sample(2, nothing), LEFT).truth.need("crowd").tolist() == [False]


def test_other_sizes_are_cut_or_padded_with_void() -> None:
    out = fitted(sample(9, Annotation((2, 8), semantic=torch.ones(2, 8, dtype=torch.uint8))), (4, 6))
    assert out.truth.need("semantic").tolist() == [[1] * 6] * 2 + [[VOID] * 6] * 2
