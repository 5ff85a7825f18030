"""Average precision of boxes against pycocotools on files."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from densepred.errors import UserError
from densepred.metric.box_ap import BoxAp
from densepred.ops.score.coco_objects import shares_within
from densepred.types import Annotation, Info
from tests.metric.coco_files import INFO, TIED, Drawn, agree, draw, official, tie, write


def scored(pairs: Drawn, info: Info = INFO, **options) -> BoxAp:
    metric = BoxAp(info, **options)
    for prediction, truth in pairs:
        metric.update([prediction], [truth])
    return metric


def boxes(*corners: Sequence[float], **more: torch.Tensor) -> Annotation:
    kinds = torch.ones(len(corners), dtype=torch.int64)
    return Annotation((100, 100), boxes=torch.tensor(corners).view(-1, 4), **{"categories": kinds, **more})


@pytest.mark.parametrize("seed", range(8))
def test_scores_equal_those_of_pycocotools_on_the_files(seed: int, tmp_path: Path) -> None:
    pairs = draw(seed, images=seed)
    expected = official(*write(tmp_path, pairs, "bbox", INFO), "bbox", INFO) if pairs else {}
    found = scored(pairs).compute()
    assert agree(found, expected)
    assert found.keys() >= {"ap", "ap50", "ap75", "ap_small", "ar", "ar1", "ar10", "ap/car"}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("named", TIED)
def test_scores_that_tie_rank_as_in_the_file(seed: int, named: str, tmp_path: Path) -> None:
    pairs = draw(seed, images=6)
    ids = tie(pairs, named)
    expected = official(*write(tmp_path, pairs, "bbox", INFO, ids), "bbox", INFO)
    assert agree(scored(pairs).compute(), expected)
    assert agree(scored(pairs[::-1]).compute(), expected)


def test_hits_at_five_of_ten_overlaps_score_a_half() -> None:
    """IoU 0.7 + 0.04: hits at 0.5, 0.55, 0.6, 0.65, 0.7."""
    truth = boxes((-0.5, -0.5, 99.5, 49.5))
    found = scored([(boxes((-0.5, -0.5, 73.5, 49.5)), truth)]).compute()
    assert (found["ap"], found["ap50"], found["ap75"], found["ar"], found["ap/car"]) == pytest.approx(
        (0.5, 1, 0, 0.5, 0.5)
    )
    assert (found["ap_small"], found["ap_medium"], found["ap_large"]) == (None, pytest.approx(0.5), None)
    assert found["ap/dog"] is None


def test_the_size_of_a_truth_is_its_area_and_without_one_its_box() -> None:
    box = (-0.5, -0.5, 39.5, 39.5)
    assert scored([(boxes(box), boxes(box, areas=torch.tensor([900.0])))]).compute()["ap_small"] == pytest.approx(1)
    assert scored([(boxes(box), boxes(box))]).compute()["ap_small"] is None


def test_nothing_found_is_0_and_nothing_to_find_undefined() -> None:
    none, some = boxes(), boxes((0.0, 0.0, 9.0, 9.0))
    assert scored([(none, some)]).compute()["ap"] == 0.0
    for pairs in (
        [],
        [(none, none)],
        [(some, none)],
        [(some, boxes((0.0, 0.0, 9.0, 9.0), crowd=torch.tensor([True])))],
    ):
        assert set(scored(pairs).compute().values()) == {None}


def test_a_crowd_excuses_what_lies_in_it() -> None:
    truth = boxes((0, 0, 10, 10), (50, 50, 90, 90), crowd=torch.tensor([False, True]))
    found = boxes((55, 55, 60, 60), (70, 70, 90, 90), (0, 0, 10, 10), scores=torch.tensor([0.9, 0.8, 0.7]))
    assert scored([(found, truth)]).compute()["ap"] == pytest.approx(1)


def test_more_results_than_count_are_left_out() -> None:
    some = [(10.0 * i, 0.0, 10.0 * i + 8, 8.0) for i in range(4)]
    scores = torch.tensor([0.4, 0.3, 0.2, 0.1])
    found = scored([(boxes(*some, scores=scores), boxes(*some))], max_detections=[3, 2, 1]).compute()
    assert (found["ar"], found["ar2"], found["ar1"]) == pytest.approx((0.75, 0.5, 0.25))
    assert "ar3" not in found


def test_boxes_of_a_map_of_instances_stand_in() -> None:
    ids = torch.zeros(100, 100, dtype=torch.int32)
    ids[10:20, 30:50] = 2
    kinds = torch.tensor([1, 1, 1])
    found = Annotation((100, 100), instances=ids, categories=kinds)
    assert scored([(found, boxes((29.5, 9.5, 49.5, 19.5)))]).compute()["ap"] == pytest.approx(1)


def test_parts_in_any_order_give_the_whole_to_the_last_digit_even_where_scores_tie() -> None:
    pairs = draw(3, images=9)
    for prediction, _ in pairs:
        assert prediction.scores is not None
        prediction.scores = (prediction.scores * 4).round() / 4
    whole = scored(pairs).compute()
    for order in ((0, 1, 2), (2, 1, 0)):
        first, *others = (pickle.loads(pickle.dumps(scored(pairs[i::3]))) for i in order)
        for other in others:
            first.merge(other)
        assert first.compute() == whole


def test_500_boxes_in_an_image_are_evaluated() -> None:
    corner = torch.rand(500, 2, generator=torch.Generator().manual_seed(0)) * 90
    many = Annotation(
        (100, 100), boxes=torch.cat((corner, corner + 5), 1), categories=torch.ones(500, dtype=torch.int64)
    )
    many.scores = torch.linspace(1, 0.001, 500)
    found = scored([(many, many)], max_detections=[10, 40]).compute()
    assert (found["ar"], found["ar10"]) == pytest.approx((0.08, 0.02))


def test_names_take_a_prefix_and_every_one_can_select_a_checkpoint() -> None:
    metric = scored([], prefix="box_")
    assert metric.mode.keys() == metric.compute().keys()
    assert {"box_ap", "box_ap/car", "box_ar10"} <= metric.mode.keys()


def test_a_dataset_without_classes_has_one_kind_of_object() -> None:
    found = Annotation((9, 9), boxes=torch.tensor([[0.0, 0.0, 5.0, 5.0]]))
    assert scored([(found, found)], Info(provides=("boxes",))).compute()["ap/object"] == pytest.approx(1)


def test_settings_and_fields_that_do_not_fit_are_errors() -> None:
    with pytest.raises(UserError, match="needs boxes, which this task does not predict"):
        scored([(Annotation((9, 9)), boxes())])
    with pytest.raises(UserError, match=r"metric\.box_ap\.max_detections: \[0\]; give integers"):
        scored([], max_detections=[0])


def ignoring(truth: Annotation, *rectangles: tuple[int, int, int, int]) -> Annotation:
    truth.ignore = torch.zeros(truth.size, dtype=torch.bool)
    for x0, y0, x1, y1 in rectangles:
        truth.ignore[y0:y1, x0:x1] = True
    return truth


@pytest.mark.parametrize("seed", range(4))
def test_regions_to_ignore_are_crowds_of_every_class(seed: int) -> None:
    """Crowds with the rectangle as their box, one per class, are what COCO has for such a region."""
    random = np.random.default_rng(seed)
    pairs, crowded = [], []
    for _ in range(6):
        x, y = random.integers(0, 60, 2).tolist()
        region = (x, y, x + 35, y + 30)
        corners = random.uniform(0, 60, (9, 2))
        shapes = np.concatenate((corners, corners + random.uniform(8, 30, (9, 2))), 1) - 0.5
        kinds = torch.from_numpy(random.integers(1, 3, 9))
        found = boxes(*shapes.tolist(), categories=kinds, scores=torch.from_numpy(random.random(9)))
        some = boxes(*(shapes[:4] + random.normal(0, 1, (4, 4))).tolist(), categories=kinds[:4])
        edges = [value - 0.5 for value in region]
        all_of = torch.tensor([*kinds[:4].tolist(), 1, 2])
        crowd = torch.tensor([False] * 4 + [True] * 2)
        crowds = boxes(*some.need("boxes").tolist(), edges, edges, categories=all_of, crowd=crowd)
        pairs.append((found, ignoring(some, region)))
        crowded.append((found, crowds))
    expected = scored(crowded).compute()
    assert scored(pairs).compute() == pytest.approx(expected, nan_ok=True)
    without = [(found, boxes(*some.need("boxes").tolist(), categories=some.categories)) for found, some in pairs]
    assert scored(without).compute()["ap"] != pytest.approx(expected["ap"])


def test_a_box_without_a_mask_is_no_region_to_ignore() -> None:
    """Its pixels are `ignore` for masks: a second box on it is a false positive nonetheless."""
    places = (9.5, 9.5, 29.5, 29.5), (59.5, 59.5, 89.5, 89.5)
    truth = ignoring(boxes(*places), (10, 10, 30, 30))
    truth.instances = torch.zeros((100, 100), dtype=torch.int32)
    truth.instances[60:90, 60:90] = 2
    found = boxes(places[0], places[0], places[1], scores=torch.tensor([0.9, 0.8, 0.7]))
    assert scored([(found, truth)]).compute()["ap/car"] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_shares_of_boxes_within_a_region_are_exact() -> None:
    random = np.random.default_rng(1)
    region = random.random((12, 15)) < 0.4
    shapes = np.concatenate((random.uniform(-2, 12, (20, 2)), random.uniform(0.5, 9, (20, 2))), 1)
    fine = np.kron(region, np.ones((100, 100)))
    for box, share in zip(shapes, shares_within(region, shapes), strict=True):
        x0, y0, x1, y1 = (round(100 * value) for value in (box[0], box[1], box[0] + box[2], box[1] + box[3]))
        inside = fine[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)].sum() / 1e4
        assert share == pytest.approx(inside / (box[2] * box[3]), abs=0.02)
