"""Pictures of skeletons, heat maps and vectors: chosen pixels."""

from __future__ import annotations

import math

import pytest
import torch

from densepred.draw import fields as draw_fields
from densepred.draw import heads as draw_heads
from densepred.draw.pose import skeletons
from densepred.types import HeadSpec, Info

BLACK = torch.zeros(3, 60, 80, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("vector", "colour"),
    [((1, 0), (255, 0, 0)), ((0, 1), (128, 255, 0)), ((-1, 0), (0, 255, 255)), ((0, -1), (128, 0, 255))],
)
def test_directions_are_hues(vector: tuple[int, int], colour: tuple[int, int, int]) -> None:
    field = torch.tensor(vector).float().reshape(2, 1, 1).expand(2, 3, 4) * 7
    assert draw_fields.wheel(field)[:, 1, 1].tolist() == list(colour)
    assert draw_fields.wheel(field, longest=14)[:, 1, 1].tolist() == pytest.approx([c / 2 for c in colour], abs=1)
    assert not draw_fields.wheel(torch.zeros(2, 3, 4)).any()


def test_of_many_fields_the_longest_vector_is_drawn() -> None:
    fields = torch.zeros(3, 2, 4, 5)
    fields[0, 0] = 0.5
    fields[2, 1, 1, 1] = -0.9
    found = draw_fields.strongest(fields.flatten(0, 1))
    assert found[:, 0, 0].tolist() == [0.5, 0]
    assert found[:, 1, 1].tolist() == pytest.approx([0, -0.9])


def test_the_compass_is_a_disc_with_red_to_the_right() -> None:
    disc = draw_fields.compass(33)
    assert disc[:, 0, 0].tolist() == [255, 255, 255]
    assert disc[:, 16, 32].tolist()[1:] == [0, 0]
    assert disc[:, 16, 16].tolist() == [0, 0, 0]


def test_heat_shines_where_it_is_highest_and_leaves_the_image_elsewhere() -> None:
    heat = torch.zeros(15, 20)
    heat[4, 10] = 3
    picture = draw_fields.over(BLACK + 100, heat)
    assert picture[:, 17, 41].float().mean() > 200
    assert picture[:, 55, 5].tolist() == [60, 60, 60]
    assert draw_fields.over(BLACK, torch.full((3, 4), math.nan)).max() == 0


def test_vectors_shine_over_the_image_where_there_are_any() -> None:
    field = torch.zeros(2, 15, 20)
    field[0, :, 10:] = 3
    picture = draw_fields.vectors_over(BLACK + 100, field)
    assert picture[:, 30, 70].tolist() == [255, 0, 0]
    assert picture[:, 30, 5].tolist() == [60, 60, 60]


def test_a_montage_has_a_tile_for_each_map_and_one_for_those_beyond_its_most() -> None:
    few = draw_fields.montage(BLACK, torch.rand(5, 15, 20), names="abcde")
    many = draw_fields.montage(BLACK, torch.rand(133, 15, 20))
    assert few.shape == (3, 3 * 180 + 2 * 4, 2 * 240 + 4)
    assert many.shape == (3, 7 * 180 + 6 * 4, 4 * 240 + 3 * 4)


def test_limbs_join_the_joints_that_are_seen() -> None:
    person = torch.tensor([[[20.0, 20, 0.9], [60, 20, 0.8], [60, 50, 0.1], [5, 5, 0.0]]])
    picture = skeletons(BLACK, person, ((0, 1), (1, 2), (2, 3)), threshold=0.3)
    assert picture[:, 20, 40].any(), "between two joints that are seen"
    assert not picture[:, 35, 60].any(), "towards one that is not sure"
    assert not picture[:, 5, 5].any()
    assert picture[:, 20, 20].any()
    assert skeletons(BLACK, torch.zeros(0, 4, 3), ((0, 1),)).equal(BLACK)


def test_two_people_have_two_colours_and_one_person_a_colour_for_each_limb() -> None:
    one = torch.tensor([[[10.0, 10, 1], [40, 10, 1], [70, 10, 1]]])
    two = torch.cat([one, one + torch.tensor([0, 30, 0])])
    limbs = ((0, 1), (1, 2))
    alone = skeletons(BLACK, one, limbs)
    assert alone[:, 10, 25].tolist() != alone[:, 10, 55].tolist()
    both = skeletons(BLACK, two, limbs)
    assert both[:, 10, 25].tolist() == both[:, 10, 55].tolist() != both[:, 40, 25].tolist()


def test_heads_are_shown_by_their_channels_and_levels() -> None:
    image = torch.rand(3, 37, 45)
    info = Info(classes=("a", "b"), keypoints=("x", "y", "z"), limbs=((0, 1), (1, 2)))
    heads = {
        "heat": HeadSpec(1),
        "vector": HeadSpec(2, (4,)),
        "maps": HeadSpec(3, (4,)),
        "limbs": HeadSpec(4),
        "semantic": HeadSpec(2, kind="classes"),
        "levels": HeadSpec(5, (8, 16)),
        "image": HeadSpec(3),
    }
    small = (10, 12)
    outputs = {
        "heat": torch.rand(1, *small),
        "vector": torch.randn(2, *small),
        "maps": torch.rand(3, *small),
        "limbs": torch.randn(4, *small),
        "semantic": torch.rand(2, *small),
        "levels": torch.rand(5, 5 * 6 + 3 * 3),
        "image": torch.rand(3, 37, 45),
    }
    targets = {"heat": torch.rand(1, 37, 45), "vector": torch.randn(2, *small)}
    found = dict(draw_heads.pictures(image, outputs, targets, heads, info))
    assert list(found) == ["heat", "vector", "maps", "limbs", "levels"]
    assert found["heat"].shape == found["vector"].shape == (3, 8 * 37, 2 * 8 * 45 + 4)
    assert found["limbs"].shape == (3, 8 * 37, 8 * 45)
    assert found["levels"].shape == (3, 2 * 8 * 37 + 4, 8 * 45)


def test_a_low_prediction_is_drawn_on_the_scale_of_its_target() -> None:
    heads, target = {"heatmap": HeadSpec(3, (4,))}, torch.zeros(3, 15, 20)
    target[:, 4, 10] = 1
    black = torch.zeros(3, 60, 80)
    for low, bright in ((target * 0, True), (target, False)):
        outputs = {"heatmap": torch.full((3, 15, 20), 0.05)}
        ((_, picture),) = draw_heads.pictures(black, outputs, {"heatmap": low}, heads, Info(("a", "b", "c")))
        right = picture[..., picture.shape[-1] // 2 :].float().mean((1, 2))
        assert bool(right[0] > 150) == bright


def test_levels_are_cut_apart_in_the_order_of_their_strides() -> None:
    sizes = [(5, 6), (3, 3)]
    levels = [torch.full((2, *size), float(i)) for i, size in enumerate(sizes)]
    found = draw_heads.cut(torch.cat([x.flatten(1) for x in levels], 1), (8, 16), (37, 45))
    assert all(torch.equal(a, b) for a, b in zip(found, levels, strict=True))


def test_sigmoids_are_shown_as_probabilities_and_lengths_as_maps_with_names() -> None:
    heads = {"class": HeadSpec(3, (4,), prior=0.1, names=("a", "b", "c")), "size": HeadSpec(2, (4,), positive=True)}
    outputs = {"class": torch.full((3, 15, 20), -9.0), "size": torch.zeros(2, 15, 20)}
    targets = {"class": torch.zeros(3, 15, 20, dtype=torch.bool), "size": torch.zeros(2, 15, 20)}
    outputs["class"][1, 7, 10], targets["class"][1, 7, 10] = 9, True
    outputs["size"][0], targets["size"][0] = 5, 5
    found = dict(draw_heads.pictures(BLACK, outputs, targets, heads, Info(classes=("ground", "a", "b", "c"))))
    target, said = found["class"].float().tensor_split(2, -1)
    assert (target[..., -500:-20] - said[..., -500:-20]).abs().mean() < 3, "the same map, to the left and to the right"
    vectors = dict(draw_heads.pictures(BLACK, outputs, targets, {"size": HeadSpec(2, (4,))}, Info()))
    assert found["size"].shape[-2] > vectors["size"].shape[-2], "width and height, one below the other"
