"""Average precision of keypoints against pycocotools on files."""

from __future__ import annotations

import math
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from densepred.dataset.coco_keypoints import CocoKeypoints
from densepred.dataset.skeleton import COCO_SIGMAS
from densepred.errors import Notice, UserError, notices
from densepred.metric.keypoint_ap import KeypointAp
from densepred.types import Annotation, Info
from tests.conftest import REPOSITORY
from tests.metric.coco_files import TIED, Drawn, agree, official, tie, write

SIZE = (200, 220)
REAL = REPOSITORY.parent / "shared" / "data" / "pose_coco"


def info(count: int, **more) -> Info:
    sigmas = (COCO_SIGMAS * 2)[:count]
    more = {"classes": ("person",), "things": (0,), "sigmas": sigmas, "provides": ("keypoints",), **more}
    return Info(keypoints=tuple(f"joint {i}" for i in range(count)), **more)


def scored(pairs: Drawn, info: Info, **options) -> KeypointAp:
    metric = KeypointAp(info, **options)
    for prediction, truth in pairs:
        metric.update([prediction], [truth])
    return metric


def draw(seed: int, count: int, images: int = 4) -> Drawn:
    """People of all sizes, some without labelled joints, some crowds; predictions jittered, lost and made up."""
    random = np.random.default_rng(seed)
    scores = iter(random.permutation(9999) / 10000)
    return [_image(random, scores, count, int(random.integers(0, 8))) for _ in range(images)]


def _image(random: np.random.Generator, scores, count: int, people: int) -> tuple[Annotation, Annotation]:
    long = random.choice([12, 60, 150], (people, 1, 1)) * random.uniform(0.5, 1.2, (people, 1, 1))
    start = random.uniform(0, 1, (people, 1, 2)) * (np.array(SIZE[::-1]) - long)
    joints = (start + random.uniform(0, 1, (people, count, 2)) * long).round()
    seen = random.choice([0, 1, 2, 2], (people, count, 1)) * (random.random((people, 1, 1)) < 0.85)
    corners = np.concatenate((start - 3, start + long + 3), 2)[:, 0].round() - 0.5
    truth = Annotation(
        SIZE,
        categories=torch.zeros(people, dtype=torch.int64),
        keypoints=torch.tensor(np.concatenate((joints * (seen > 0), seen), 2), dtype=torch.float32),
        boxes=torch.tensor(corners, dtype=torch.float32),
        areas=torch.tensor((long[:, 0, 0] ** 2 * 0.6).round(), dtype=torch.float32),
        crowd=torch.tensor(random.random(people) < 0.1, dtype=torch.bool),
    )
    kept = random.random(people) < 0.85
    found = joints[kept] + (random.normal(0, 0.06, joints[kept].shape) * long[kept]).round(2)
    made_up = random.uniform(0, 200, (int(random.integers(0, 3)), count, 2)).round(2)
    found = np.concatenate((found, made_up))
    found = np.concatenate((found, random.uniform(0.01, 1, (*found.shape[:2], 1)).round(2)), 2)
    prediction = Annotation(
        SIZE,
        categories=torch.zeros(len(found), dtype=torch.int64),
        keypoints=torch.tensor(found, dtype=torch.float32),
        scores=torch.tensor([next(scores) for _ in found], dtype=torch.float32),
    )
    return prediction, truth


def people(*rows: list[tuple[float, float, float]], **more) -> Annotation:
    count = len(rows[0]) if rows else 2
    points = torch.tensor(rows).view(-1, count, 3)
    return Annotation(SIZE, keypoints=points, **{"categories": torch.zeros(len(rows), dtype=torch.int64), **more})


@pytest.mark.parametrize("count", [17, 14, 4, 1])
@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_those_of_pycocotools_on_the_files(seed: int, count: int, tmp_path: Path) -> None:
    pairs = draw(10 * count + seed, count, images=2 + seed)
    expected = official(*write(tmp_path, pairs, "keypoints", info(count)), "keypoints", info(count))
    assert agree(scored(pairs, info(count)).compute(), expected)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("named", TIED)
def test_scores_that_tie_rank_as_in_the_file(seed: int, named: str, tmp_path: Path) -> None:
    pairs = draw(seed, 17, images=6)
    ids = tie(pairs, named)
    expected = official(*write(tmp_path, pairs, "keypoints", info(17), ids), "keypoints", info(17))
    assert agree(scored(pairs, info(17)).compute(), expected)
    assert agree(scored(pairs[::-1], info(17)).compute(), expected)


def test_scores_on_a_real_set_equal_those_of_pycocotools_on_its_own_file(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip("needs ../shared/data/pose_coco")
    data, random = CocoKeypoints(str(REAL), "valid"), torch.Generator().manual_seed(0)
    pairs, ids = [], []
    for i in range(len(data)):
        entry, found = data.index[i]
        truth = data._truth(entry, found)
        assert truth.keypoints is not None
        assert truth.areas is not None
        jitter = torch.randn(*truth.keypoints.shape[:2], 2, generator=random) * truth.areas.sqrt()[:, None, None] * 0.05
        moved = torch.cat((truth.keypoints[..., :2] + jitter, torch.ones_like(truth.keypoints[..., :1])), 2)
        scores = torch.rand(len(moved), generator=random, dtype=torch.float64).mul(1e6).round().div(1e6).float()
        pairs.append((Annotation(truth.size, keypoints=moved, categories=truth.categories, scores=scores), truth))
        ids.append(entry.id)
    _, results = write(tmp_path, pairs, "keypoints", data.info, ids)
    expected = official(data.path, results, "keypoints", data.info)
    assert agree(scored(pairs, data.info).compute(), expected)
    assert 0.2 < (expected["ap"] or 0) < 0.9


def test_similarity_falls_with_the_distance_as_in_coco() -> None:
    """One of two joints off by d: OKS (1 + exp(-d^2 / (2 area (2 sigma)^2))) / 2, here 0.5 + 0.32 / 2 = 0.66."""
    two = info(2, sigmas=(0.05, 0.1))
    area, wanted = 2000.0, 0.32
    off = math.sqrt(-math.log(wanted) * 2 * area * 0.2**2)
    truth = people([(50, 50, 2), (90, 90, 2)], areas=torch.tensor([area]))
    found = scored([(people([(50, 50, 1), (90, 90 + off, 1)]), truth)], two).compute()
    assert (found["ap"], found["ap50"], found["ap75"]) == pytest.approx((0.4, 1, 0))  # 0.5, 0.55, 0.6, 0.65
    assert (found["ap_medium"], found["ap_small"]) == (pytest.approx(0.4), None)


def test_unlabelled_joints_do_not_count_and_people_without_labels_are_ignored() -> None:
    more = {"areas": torch.tensor([900.0, 900.0]), "boxes": torch.tensor([[40.0, 40, 80, 80], [120, 120, 160, 160]])}
    truth = people([(50, 50, 2), (0, 0, 0)], [(0, 0, 0), (0, 0, 0)], **more)
    scores = torch.tensor([0.5, 0.9])
    found = people([(50, 50, 1), (199, 199, 1)], [(130, 130, 1), (150, 150, 1)], scores=scores)
    assert scored([(found, truth)], info(2)).compute()["ap"] == pytest.approx(1)


def test_areas_and_boxes_that_the_ground_truth_lacks_are_those_around_its_joints() -> None:
    bare = people([(50, 50, 2), (90, 80, 2), (0, 0, 0)])
    full = people([(50, 50, 2), (90, 80, 2), (0, 0, 0)], areas=torch.tensor([1200.0]))
    found = people([(53, 52, 1), (86, 83, 1), (9, 9, 1)])
    assert scored([(found, bare)], info(3)).compute() == scored([(found, full)], info(3)).compute()


def test_a_row_of_which_no_joint_was_found_is_no_result() -> None:
    truth = people([(50, 50, 2), (90, 90, 2)])
    found = people([(50, 50, 0), (90, 90, 0)], [(50, 50, 1), (90, 90, 0)], scores=torch.tensor([0.9, 0.5]))
    assert scored([(found, truth)], info(2), max_detections=1).compute()["ap"] == pytest.approx(1)


def test_no_prediction_scores_0_and_no_person_is_undefined() -> None:
    two, none, some = info(2), people(), people([(50, 50, 2), (90, 90, 2)])
    assert scored([(none, some)], two).compute()["ap"] == 0.0
    unlabelled = people([(0, 0, 0), (0, 0, 0)])
    crowd = people([(50, 50, 2), (90, 90, 2)], crowd=torch.tensor([True]))
    for pairs in ([], [(none, none)], [(some, none)], [(some, unlabelled)], [(some, crowd)]):
        assert set(scored(pairs, two).compute().values()) == {None}


def test_results_without_a_category_are_of_the_class_that_has_keypoints() -> None:
    """A disc without joints is no person without labels: who is found on it is wrong."""
    kinds = info(2, classes=("disc", "figure"), things=(0, 1))
    truth = people([(0, 0, 0), (0, 0, 0)], [(50, 50, 2), (90, 90, 2)], categories=torch.tensor([0, 1]))
    truth.boxes = torch.tensor([[120.0, 120, 160, 160], [50, 50, 90, 90]])
    found = people([(130, 130, 1), (150, 150, 1)], [(50, 50, 1), (90, 90, 1)], scores=torch.tensor([0.9, 0.1]))
    found.categories = None
    scores = scored([(found, truth)], kinds).compute()
    assert (scores["ap"], scores["ap/figure"], scores["ap/disc"]) == (pytest.approx(0.5), pytest.approx(0.5), None)


def test_without_categories_all_classes_that_have_keypoints_count_as_one() -> None:
    kinds = info(2, classes=("cat", "dog"), things=(0, 1))
    truth = people([(10, 10, 2), (40, 40, 2)], [(50, 50, 2), (90, 90, 2)], categories=torch.tensor([0, 1]))
    found = people([(10, 10, 1), (40, 40, 1)], [(50, 50, 1), (90, 90, 1)])
    found.categories = None
    scores = scored([(found, truth)], kinds).compute()
    assert (scores["ap"], scores["ap/cat"]) == (pytest.approx(1), None)


def test_parts_in_any_order_give_the_whole_to_the_last_digit_even_where_scores_tie() -> None:
    pairs = draw(5, 17, images=9)
    for prediction, _ in pairs:
        prediction.scores = None
    whole = scored(pairs, info(17)).compute()
    for order in ((0, 1, 2), (2, 1, 0)):
        first, *others = (pickle.loads(pickle.dumps(scored(pairs[i::3], info(17)))) for i in order)
        for other in others:
            first.merge(other)
        assert first.compute() == whole


@pytest.mark.parametrize("sigmas", [(), (0.05, 0.05)])
def test_default_sigmas_give_one_notice_in_one_line(sigmas: tuple[float, ...]) -> None:
    placeholders, told = info(2, sigmas=sigmas), []
    pairs = [(people([(50, 52, 1), (90, 90, 1)]), people([(50, 50, 2), (90, 90, 2)]))]
    with notices(told.append):
        first = scored(pairs, placeholders).compute()
        scored(pairs, placeholders).compute()
    assert first == scored(pairs, info(2, sigmas=(0.05, 0.0500001))).compute()
    assert len([text for text in told if "hotcoco" not in text]) == 1
    with pytest.warns(Notice, match=r"^keypoint_ap: the dataset has no sigmas for its 2 keypoints, so 0\.05 is used"):
        scored(pairs, placeholders).compute()


def test_sigmas_that_were_measured_are_no_news() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "average precision is counted by hotcoco")
        scored([(people([(50, 52, 1), (90, 90, 1)]), people([(50, 50, 2), (90, 90, 2)]))], info(2)).compute()


def test_names_take_a_prefix_and_every_one_can_select_a_checkpoint() -> None:
    metric = scored([], info(2), prefix="pose_")
    assert metric.mode.keys() == metric.compute().keys()
    assert {"pose_ap", "pose_ap/person", "pose_ar50"} <= metric.mode.keys()


def test_a_task_without_keypoints_is_refused() -> None:
    with pytest.raises(UserError, match="metric=keypoint_ap needs keypoints, which this task does not predict"):
        scored([(Annotation(SIZE), people())], info(2))
