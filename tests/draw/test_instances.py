"""Pictures of instances, panoptic segments and boxes: chosen pixels."""

from __future__ import annotations

import torch

from densepred.dataset.shapes import Shapes
from densepred.draw import boxes, instances
from densepred.draw.comparison import LEGIBLE, compare, confident, contours, draw, enlarged
from densepred.draw.panel import LINE
from densepred.types import VOID, Annotation, Info

INFO = Info(classes=("sky", "car", "dog"), things=(1, 2), palette=((0, 0, 200), (200, 0, 0), (0, 180, 0)))
GREY = torch.full((3, 12, 20), 100, dtype=torch.uint8)


def scene() -> Annotation:
    ids = torch.zeros(12, 20, dtype=torch.int32)
    ids[2:8, 2:8], ids[2:8, 8:14] = 1, 2
    labels = torch.zeros(12, 20, dtype=torch.uint8)
    labels[ids > 0] = 1
    labels[11] = VOID
    return Annotation((12, 20), semantic=labels, instances=ids, categories=torch.tensor([1, 1]), scores=torch.rand(2))


def test_two_cars_have_different_reds_and_the_sky_its_own_blue() -> None:
    first, second = instances.shades(scene(), INFO)
    assert first != second
    assert first == (200, 0, 0)
    assert second[0] > 2 * max(second[1:])
    picture = instances.overlay(GREY, scene(), INFO, opacity=0.5, captions=False)
    assert picture[:, 4, 4].tolist() == [150, 50, 50]
    assert picture[:, 4, 10].tolist() == [round((100 + c) / 2 - 1e-6) for c in second]
    assert picture[:, 10, 18].tolist() == [50, 50, 150]
    assert picture[:, 11, 5].tolist() == [100, 100, 100], "void stays clear"
    assert picture[:, 4, 7].tolist() == picture[:, 4, 8].tolist() == [255, 255, 255], "outlines on both sides"


def test_without_a_class_map_every_colour_is_another() -> None:
    colours = instances.distinct(64)
    assert len(set(colours)) == 64
    steps = torch.tensor(colours).diff(dim=0).abs().amax(1)
    assert steps.min() > 60
    found = scene()
    found.semantic = None
    assert instances.shades(found, INFO) == instances.distinct(2)
    assert instances.overlay(GREY, found, INFO, captions=False)[:, 10, 18].tolist() == [100, 100, 100]


def test_captions_hold_number_class_and_score_and_stand_on_their_instance() -> None:
    found = scene()
    found.scores = torch.tensor([0.987, 0.5])
    captions = instances.labels_of(found, INFO, instances.shades(found, INFO))
    assert [c.text for c in captions] == ["#1: car 0.99", "#2: car 0.50"]
    for number, (x, y) in enumerate(c.point for c in captions):
        assert found.instances[int(y), int(x)] == number + 1
    ring = torch.ones(9, 9, dtype=torch.int32)
    ring[2:7, 2:7] = 0
    (only,) = instances.labels_of(Annotation((9, 9), instances=ring), INFO, [(1, 2, 3)])
    assert ring[int(only.point[1]), int(only.point[0])] == 1


def test_a_box_is_drawn_along_its_inner_pixels() -> None:
    image = torch.zeros(3, 60, 80, dtype=torch.uint8)
    box = torch.tensor([[19.5, 29.5, 49.5, 49.5]])  # pixels 20 to 49 across, 30 to 49 down
    picture = boxes.boxes(image, box, [(255, 0, 0)], [""])
    red = (picture[0] == 255).nonzero()
    assert red.amin(0).tolist() == [30, 20]
    assert red.amax(0).tolist() == [49, 49]
    assert not picture[:, 40, 30].any()
    assert boxes.boxes(image, torch.zeros(0, 4), [], []).equal(image)
    boxes.boxes(image, torch.tensor([[5.0, 5.0, 5.0, 5.0], [70.0, -9.0, 200.0, 99.0]]), [(1, 1, 1)] * 2, ["a", "b"])


def test_words_do_not_cover_one_another_and_stay_inside() -> None:
    places: list[boxes.Box] = []
    taken = boxes._Places(5)
    for _ in range(5):
        places.append(boxes._free((99, 50), (30, 10), (100, 100), "corner", taken))
        taken.add(places[-1])
    spans = [(y0, y1) for _, y0, _, y1 in places]  # all in one column
    assert all(b[1] < a[0] or a[1] < b[0] for i, a in enumerate(spans) for b in spans[:i])
    assert all(x0 >= 0 and y0 >= 0 and x1 < 100 and y1 < 100 for x0, y0, x1, y1 in places)


def test_small_pictures_are_enlarged_with_all_that_is_in_them() -> None:
    found = Annotation(
        (12, 20), boxes=torch.tensor([[-0.5, -0.5, 19.5, 11.5]]), keypoints=torch.tensor([[[0.0, 1, 2]]])
    )
    picture, large = enlarged(GREY, found)
    assert max(picture.shape) >= LEGIBLE
    factor = picture.shape[-1] // 20
    assert large.boxes.tolist() == [[-0.5, -0.5, 20 * factor - 0.5, 12 * factor - 0.5]]
    assert large.keypoints.tolist() == [[[(factor - 1) / 2, factor + (factor - 1) / 2, 2]]]
    assert large.size == tuple(picture.shape[-2:])


def test_unsure_instances_are_left_out_and_the_others_keep_their_pixels() -> None:
    found = scene()
    found.scores = torch.tensor([0.2, 0.9])
    kept, numbers = confident(found, 0.5)
    assert numbers == [2], "as in the map of ids that is written"
    assert instances.labels_of(kept, INFO, [(1, 2, 3)], numbers)[0].text == "#2: car 0.90"
    assert kept.instances[4, 4] == 0
    assert kept.instances[4, 10] == 1
    assert kept.categories.tolist() == [1]
    assert confident(found, 0.0) == (found, None)


def test_every_field_of_an_unsure_person_is_left_out() -> None:
    found = Annotation((4, 5), scores=torch.tensor([0.2, 0.9]), head_boxes=torch.arange(8.0).view(2, 4))
    assert confident(found, 0.5)[0].need("head_boxes").tolist() == [[4.0, 5.0, 6.0, 7.0]]


def test_truth_shows_only_what_the_prediction_has_and_contours_meet_in_white() -> None:
    data = Shapes("valid", size=(37, 45), counts={"valid": 2})
    truth = data[0].truth
    found = Annotation(truth.size, instances=truth.instances, categories=truth.categories)
    picture = compare(data[0].image, found, truth, data.info)
    tile = 45 * (-(-LEGIBLE // 45))
    height = 37 * (-(-LEGIBLE // 45))
    line = 2 * LINE  # words of wide panels are twice as large
    assert picture.shape == (3, line + height + line, 4 * tile + 3 * 4)
    drawn = picture[:, line : line + height]
    assert drawn[:, :, tile + 4 : 2 * tile + 4].equal(drawn[:, :, 2 * tile + 8 : 3 * tile + 8])
    edges = contours(data[0].image, truth.instances, truth.instances)
    on = instances.outlines(truth.instances.long())
    assert edges[:, on].T.unique(dim=0).tolist() == [[255, 255, 255]]


def test_nothing_found_is_drawn_as_nothing() -> None:
    empty = Annotation(
        (12, 20), instances=torch.zeros(12, 20, dtype=torch.int32), categories=torch.zeros(0, dtype=torch.int64)
    )
    picture = draw(GREY, empty, INFO)
    assert picture.unique().tolist() == [100]
    none = Annotation((12, 20), boxes=torch.zeros(0, 4), keypoints=torch.zeros(0, 5, 3), scores=torch.zeros(0))
    assert draw(GREY, none, INFO).unique().tolist() == [100]


def many(side: int) -> Annotation:
    """A grid of 30 squares, with scores."""
    ids = torch.zeros(5 * (side + 4), 6 * (side + 4), dtype=torch.int32)
    for i in range(30):
        top, left = (i // 6) * (side + 4), (i % 6) * (side + 4)
        ids[top : top + side, left : left + side] = i + 1
    size = (ids.shape[0], ids.shape[1])
    return Annotation(size, instances=ids, categories=torch.ones(30, dtype=torch.int64), scores=torch.full((30,), 0.5))


def test_where_there_are_many_captions_fit_into_their_instances() -> None:
    for side, shown in ((80, "all"), (20, "all"), (4, "none")):
        found = many(side)
        picture = torch.zeros(3, *found.size, dtype=torch.uint8)
        bare = instances.overlay(picture, found, INFO, captions=False)
        written = (instances.overlay(picture, found, INFO) != bare).any(0)
        assert not written[found.instances == 0].any(), "nothing beside them is covered"
        per = torch.bincount(found.instances[written].long(), minlength=31)[1:]
        assert (per > 0).all() == (shown == "all")
        assert (per < side * side / 2).all()


def test_small_instances_are_enlarged_for_their_numbers_but_not_without_end() -> None:
    found = many(20)
    picture = torch.zeros(3, *found.size, dtype=torch.uint8)
    assert draw(picture, found, INFO).shape[-2:] == (5 * 24 * 4, 6 * 24 * 4)  # LEGIBLE alone asks for four times
    large = torch.zeros(3, 1000, 1000, dtype=torch.uint8)
    dots = Annotation((1000, 1000), instances=torch.zeros(1000, 1000, dtype=torch.int32))
    assert dots.instances is not None
    dots.instances[5, 5] = 1
    assert draw(large, dots, INFO).shape[-2:] == (1000, 1000)
    dots = Annotation((700, 700), instances=dots.instances[:700, :700])
    assert draw(large[:, :700, :700], dots, INFO).shape[-2:] == (1400, 1400)
