"""Average precision of masks against pycocotools on files."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools import mask as rle

from densepred.errors import UserError
from densepred.metric.mask_ap import MaskAp
from densepred.types import Annotation, Info
from tests.metric.coco_files import INFO, TIED, Drawn, agree, draw, official, tie, write


def scored(pairs: Drawn, info: Info = INFO, **options) -> MaskAp:
    metric = MaskAp(info, **options)
    for prediction, truth in pairs:
        metric.update([prediction], [truth])
    return metric


def strip(owner: list[int], categories: list[int], **more: torch.Tensor) -> Annotation:
    """An image of one row."""
    ids = torch.tensor([owner], dtype=torch.int32)
    return Annotation((1, len(owner)), instances=ids, categories=torch.tensor(categories, dtype=torch.int64), **more)


@pytest.mark.parametrize("seed", range(8))
def test_scores_equal_those_of_pycocotools_on_the_files(seed: int, tmp_path: Path) -> None:
    pairs = draw(seed, images=1 + seed)
    assert agree(scored(pairs).compute(), official(*write(tmp_path, pairs, "segm", INFO), "segm", INFO))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("named", TIED)
def test_scores_that_tie_rank_as_in_the_file(seed: int, named: str, tmp_path: Path) -> None:
    pairs = draw(seed, images=6)
    ids = tie(pairs, named)
    expected = official(*write(tmp_path, pairs, "segm", INFO, ids), "segm", INFO)
    assert agree(scored(pairs).compute(), expected)
    assert agree(scored(pairs[::-1]).compute(), expected)


@pytest.mark.parametrize("seed", range(4))
def test_a_map_of_instances_counts_as_its_masks(seed: int) -> None:
    """Draw two overlapping objects with the later one on top, in both forms."""
    pairs, maps = [], []
    for prediction, truth in draw(seed):
        both = []
        for one in (prediction, truth):
            assert one.masks is not None
            ids = np.zeros(one.size, np.int32)
            for i, mask in enumerate(one.masks):
                ids[rle.decode(mask) > 0] = i + 1
            assert one.categories is not None
            seen = [rle.encode(np.asfortranarray(ids == i + 1, np.uint8)) for i in range(len(one.categories))]
            more = {"categories": one.categories, "scores": one.scores, "crowd": one.crowd}
            both.append(
                (
                    Annotation(one.size, masks=seen, **more),
                    Annotation(one.size, instances=torch.from_numpy(ids), **more),
                )
            )
        pairs.append((both[0][0], both[1][0]))
        maps.append((both[0][1], both[1][1]))
    assert scored(maps).compute() == scored(pairs).compute()


def test_masks_may_be_text_bytes_or_plain_runs() -> None:
    grid = np.zeros((9, 9), np.uint8)
    grid[2:6, 3:7] = 1
    code = rle.encode(np.asfortranarray(grid))
    plain = {"size": [9, 9], "counts": [29, 4, 5, 4, 5, 4, 5, 4, 21]}
    kinds = {"categories": torch.tensor([1])}
    for mask in (code, {**code, "counts": code["counts"].decode()}, plain):
        found = scored([(Annotation((9, 9), masks=[mask], **kinds), Annotation((9, 9), masks=[code], **kinds))])
        assert found.compute()["ap"] == pytest.approx(1)


def test_one_pixel_is_an_object_and_no_pixel_is_none() -> None:
    truth = strip([0, 1, 0, 0], [1, 1])
    assert scored([(strip([0, 1, 0, 0], [1, 1]), truth)]).compute()["ap"] == pytest.approx(1)
    assert scored([(strip([0, 0, 1, 0], [1]), truth)]).compute()["ap"] == 0.0


def test_nothing_found_is_0_and_nothing_to_find_undefined() -> None:
    none, some = strip([0, 0], []), strip([1, 0], [1])
    assert scored([(none, some)]).compute()["ap"] == 0.0
    for pairs in ([], [(none, none)], [(some, none)], [(some, strip([1, 0], [1], crowd=torch.tensor([True])))]):
        assert set(scored(pairs).compute().values()) == {None}


def test_what_is_to_be_ignored_excuses_every_class_but_what_a_crowd_covers_only_its_own() -> None:
    truth = strip([1, 1, 2, 2, 0, 0], [1, 2], crowd=torch.tensor([False, True]))
    truth.ignore = torch.tensor([[False, False, True, True, True, True]])
    scores = torch.tensor([0.1, 0.9, 0.8])
    right = strip([1, 1, 0, 0, 2, 3], [1, 1, 3], scores=scores)
    assert scored([(right, truth)]).compute()["ap"] == pytest.approx(1)
    wrong = strip([1, 1, 2, 2, 3, 3], [1, 1, 2], scores=scores)
    assert scored([(wrong, truth)]).compute()["ap"] == pytest.approx(0.5)


def test_parts_in_any_order_give_the_whole_to_the_last_digit_even_where_scores_tie() -> None:
    pairs = draw(3, images=9)
    for prediction, _ in pairs:
        prediction.scores = None
    whole = scored(pairs).compute()
    for order in ((0, 1, 2), (2, 1, 0)):
        first, *others = (pickle.loads(pickle.dumps(scored(pairs[i::3]))) for i in order)
        for other in others:
            first.merge(other)
        assert first.compute() == whole


def test_500_instances_in_an_image_are_evaluated() -> None:
    """More than the 255 that pycocotools counts in a byte."""
    ids = torch.zeros(100, 100, dtype=torch.int32)
    ids[::4, :80:4] = torch.arange(1, 501, dtype=torch.int32).view(25, 20)
    many = Annotation((100, 100), instances=ids, categories=torch.ones(500, dtype=torch.int64))
    found = scored([(many, many)], max_detections=[10, 40]).compute()
    assert (found["ar"], found["ar10"]) == pytest.approx((0.08, 0.02))


def test_a_task_without_instances_is_refused() -> None:
    with pytest.raises(UserError, match="metric=mask_ap needs instances, which this task does not predict"):
        scored([(Annotation((9, 9)), strip([0], []))])
