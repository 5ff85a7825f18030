from __future__ import annotations

import hashlib
import inspect
import math
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from densepred.dataset.shapes import CLASSES, FIGURE, STAR, Shapes
from densepred.ops.boxes import from_ids
from densepred.types import Sample, UserError


def digest(sample: Sample) -> str:
    truth = sample.truth
    parts = [sample.image, truth.semantic, truth.instances, truth.keypoints, truth.boxes, truth.areas]
    return hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts if part is not None)).hexdigest()


def test_a_scene_is_a_function_of_seed_split_and_index_in_any_order() -> None:
    first, data = Shapes(split="train"), Shapes(split="train")
    forwards = [digest(first[i]) for i in range(6)]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda i: digest(data[i]), reversed(range(6)))) == forwards[::-1]
    assert len(set(forwards)) == 6
    assert digest(Shapes(split="train", seed=1)[0]) != forwards[0]


def test_splits_share_no_scene() -> None:
    splits = [Shapes(split=split) for split in ("train", "valid", "test")]
    assert len({digest(data[i]) for data in splits for i in range(10)}) == 30


def test_every_split_describes_the_same_classes() -> None:
    assert Shapes(split="train").info == Shapes(split="test").info
    info = Shapes(split="train").info
    assert len(info.palette) == len(info.classes) == len(CLASSES)
    assert len(info.sigmas) == len(info.keypoints)


def test_annotations_agree_with_each_other() -> None:
    data = Shapes(split="train", counts={"train": 30})
    for index in range(30):
        sample = data[index]
        truth = sample.truth
        assert sample.image.dtype == torch.uint8
        assert sample.image.shape == (3, 96, 128)
        for name in data.info.provides:
            assert getattr(truth, name) is not None
        assert truth.instances is not None
        assert truth.semantic is not None
        assert truth.categories is not None
        count = len(truth.categories)
        assert sorted(truth.instances.unique().tolist()) in (list(range(count + 1)), list(range(1, count + 1)))
        ids = truth.instances.long()
        assert torch.equal(truth.semantic[ids > 0].long(), truth.categories[ids[ids > 0] - 1])
        assert (truth.semantic[ids == 0] == 0).all()
        assert torch.equal(truth.boxes, from_ids.boxes(truth.instances, count))  # type: ignore[arg-type]
        assert torch.equal(truth.areas, from_ids.areas(truth.instances, count))  # type: ignore[arg-type]


def test_joints_lie_on_the_figure_that_is_drawn() -> None:
    data = Shapes(split="train", counts={"train": 60}, objects=(1, 1), size=(120, 160))
    figures = 0
    for index in range(60):
        truth = data[index].truth
        assert truth.keypoints is not None
        assert truth.categories is not None
        assert truth.instances is not None
        for row, category in enumerate(truth.categories.tolist()):
            joints = truth.keypoints[row]
            if category != FIGURE:
                assert (joints == 0).all()
                continue
            figures += 1
            for x, y, seen in joints.tolist():
                column, line = math.floor(x + 0.5), math.floor(y + 0.5)
                inside = 0 <= column < 160 and 0 <= line < 120
                assert (seen > 0) == inside
                if inside:
                    assert seen == 2
                    assert truth.instances[line, column] == row + 1
    assert figures > 4


def test_a_covered_joint_is_known_but_not_seen() -> None:
    data = Shapes(split="train", counts={"train": 80}, objects=(8, 8))
    seen = torch.cat([data[i].truth.keypoints[..., 2].flatten() for i in range(80)])  # type: ignore[index]
    assert (seen == 1).any()


def test_stars_are_rare_and_every_class_occurs() -> None:
    data = Shapes(split="train", counts={"train": 120}, size=(48, 64))
    categories = torch.cat([data[i].truth.categories for i in range(120)])  # type: ignore[misc]
    counts = torch.bincount(categories, minlength=len(CLASSES))
    assert (counts[1:] > 0).all()
    assert counts[STAR] < 0.6 * counts[1:].float().mean()


def test_lines_are_as_thin_as_asked_for() -> None:
    data = Shapes(split="train", counts={"train": 100}, objects=(1, 1), thinness=2.0)
    widths = []
    for index in range(100):
        truth = data[index].truth
        if truth.categories is not None and truth.categories.tolist() == [CLASSES.index("line")]:
            x0, y0, x1, y1 = truth.boxes[0].tolist()  # type: ignore[index]
            widths.append(float(truth.areas[0]) / math.hypot(x1 - x0, y1 - y0))  # type: ignore[index]
    assert 1.2 < sum(widths) / len(widths) < 2.8


@pytest.mark.parametrize("size", [(37, 45), (1, 1), (200, 64)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    sample = Shapes(split="test", size=size)[0]
    assert sample.image.shape == (3, *size)
    assert sample.truth.size == sample.frame.size == size


def test_a_scene_may_be_empty() -> None:
    truth = Shapes(split="train", objects=(0, 0))[0].truth
    assert truth.boxes is not None
    assert truth.boxes.shape == (0, 4)
    assert truth.semantic is not None
    assert truth.semantic.max() == 0


def test_contrast_0_hides_the_shapes() -> None:
    clean = {"noise": 0.0, "texture": 0.0, "counts": {"train": 3}}
    assert Shapes(split="train", contrast=0.0, **clean)[0].image.flatten(1).unique(dim=1).shape[1] == 1  # type: ignore[arg-type]
    assert Shapes(split="train", contrast=1.0, **clean)[0].image.flatten(1).unique(dim=1).shape[1] > 9  # type: ignore[arg-type]


def test_mean_and_std_are_those_of_the_images() -> None:
    data = Shapes(split="train", counts={"train": 60})
    pixels = torch.cat([data[i].image.flatten(1) for i in range(60)], 1).float() / 255
    assert (pixels.mean(1) - torch.tensor(data.info.mean)).abs().max() < 0.1
    assert (pixels.std(1) - torch.tensor(data.info.std)).abs().max() < 0.06


def test_statistics_follow_every_setting_that_changes_the_scenes() -> None:
    """Each value differs from the default, before or after another dataset was built in this process."""
    changed: dict[str, Any] = {
        "size": (48, 64),
        "seed": 1,
        "objects": (0, 1),
        "rare": 1.0,
        "touching": 1.0,
        "thinness": 9.0,
        "contrast": 0.2,
        "hue_spread": 0.3,
        "texture": 0.4,
        "noise": 0.4,
    }
    assert {*changed, "split", "counts"} == set(inspect.signature(Shapes).parameters)
    first = Shapes("train", size=(24, 32)).info
    assert Shapes("valid", size=(24, 32)).info == first
    for key, value in changed.items():
        found = Shapes("train", **{"size": (24, 32), key: value}).info
        assert (found.mean, found.std) != (first.mean, first.std), key


def test_drawing_is_quick() -> None:
    data = Shapes(split="train")
    best = math.inf
    for start in range(5):
        before = time.process_time()
        for index in range(20):
            data[start * 20 + index]
        best = min(best, (time.process_time() - before) / 20)
    assert best < 0.015


@pytest.mark.parametrize(
    "arguments", [{"split": "val"}, {"split": "train", "size": (0, 4)}, {"split": "train", "objects": (5, 2)}]
)
def test_impossible_settings_are_refused_by_name(arguments: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"dataset\.(split|size|objects)"):
        Shapes(**arguments)  # type: ignore[arg-type]
