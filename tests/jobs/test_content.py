"""A run is refused before it starts if its ground truth holds nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from densepred.contracts import Dataset
from densepred.dataset.coco_instances import CocoInstances
from densepred.errors import Notice, UserError
from densepred.jobs.content import missing, require_content, warn_of_missing
from densepred.types import VOID, Annotation, Frame, Info, Sample
from tests import running
from tests.dataset.coco_tree import instances, save, tree

SIZE = (4, 5)


class Fixed(Dataset):
    """Ground truth as given."""

    def __init__(self, *truths: Annotation) -> None:
        self.info, self.truths, self.read = Info(classes=("background", "cat")), truths, 0

    def __len__(self) -> int:
        return len(self.truths)

    def __getitem__(self, index: int) -> Sample:
        self.read += 1
        return Sample(torch.zeros(3, *SIZE), self.truths[index], Frame(str(index), SIZE))


class Reads:
    """A codec, as far as its required fields go."""

    def __init__(self, *required: str) -> None:
        self.required = required


def boxes(*rows: list[float], crowd: bool = False) -> Annotation:
    some = torch.tensor(rows, dtype=torch.float32).view(-1, 4)
    return Annotation(SIZE, boxes=some, crowd=torch.full((len(rows),), crowd))


def classes(value: int) -> Annotation:
    return Annotation(SIZE, semantic=torch.full(SIZE, value, dtype=torch.uint8))


def people(visibility: float) -> Annotation:
    return Annotation(SIZE, keypoints=torch.tensor([[[1.0, 1.0, visibility]]]), boxes=torch.tensor([[0.0, 0, 2, 2]]))


EMPTY: list[tuple[tuple[str, ...], Annotation, str]] = [
    (("boxes", "categories"), boxes(), "a box"),
    (("boxes", "categories"), boxes([1, 1, 1, 3]), "a box"),
    (("boxes", "categories"), boxes([1, 1, 2, 3], crowd=True), "a box"),
    (("semantic",), classes(VOID), "a pixel of a class"),
    (("semantic",), classes(0), "a pixel of a class"),
    (("keypoints", "boxes"), people(0), "a labelled keypoint"),
    (
        ("semantic", "instances"),
        Annotation(SIZE, semantic=classes(0).semantic, instances=torch.zeros(SIZE, dtype=torch.int32)),
        "an instance or a pixel of a class",
    ),
]
FULL = [boxes([1, 1, 2, 3]), classes(1), people(2)]


@pytest.mark.parametrize(("required", "truth", "what"), EMPTY)
def test_a_dataset_that_holds_nothing_is_refused(required: tuple[str, ...], truth: Annotation, what: str) -> None:
    codec: Any = Reads(*required)
    with pytest.raises(UserError, match=f"none of its 2 samples holds {what}"):
        require_content(Fixed(truth, truth), codec)
    with pytest.warns(Notice, match="the valid split"):
        warn_of_missing(Fixed(truth), codec, "valid")


@pytest.mark.parametrize("truth", FULL)
def test_reading_ends_with_the_first_sample_that_holds_something(truth: Annotation) -> None:
    name = next(iter(truth.filled() & {"keypoints", "semantic"}), "boxes")
    data = Fixed(truth, truth)
    assert missing(data, Reads(name)) is None  # pyright: ignore[reportArgumentType]
    assert data.read == 1


def test_an_autoencoder_needs_no_ground_truth() -> None:
    require_content(Fixed(boxes()), Reads("image"))  # pyright: ignore[reportArgumentType]


DETECTION = (
    "task=detection_fcos",
    "dataset=coco_instances",
    "encoder=plain",
    "encoder.widths=[8,8,8,8]",
    "decoder=fpn_light",
    "decoder.bare=true",
    "task.codec.strides=[4,8]",
    "model.depth=1",
    "data.crop=[32,32]",
    "data.batch_size=2",
    "trainer.max_steps=1",
    "trainer.pictures=0",
)


def detection(folder: Path, **change: Any) -> list[str]:
    """Return the words of a run of a detector on files of boxes alone."""
    for split in ("train2017", "val2017"):
        data = instances()
        data["annotations"] = [{**note, "segmentation": [], **change} for note in data["annotations"]]
        save(tree(folder, split), f"instances_{split}", data)
    return [*DETECTION, f"dataset.root={folder}"]


def test_a_detector_learns_from_boxes_alone(tmp_path: Path) -> None:
    words = detection(tmp_path / "data")
    assert running.training.work(running.bare_job(tmp_path / "run", *words)) == 0
    assert "3 boxes without a mask" in (tmp_path / "run/train.log").read_text()
    with pytest.warns(Notice, match="3 boxes"):
        assert "semantic" not in CocoInstances(str(tmp_path / "data")).info.provides


def test_a_detector_without_a_box_is_refused(tmp_path: Path) -> None:
    words = detection(tmp_path / "data", bbox=[3, 3, 0, 0])
    with pytest.raises(UserError, match="none of its 2 samples holds a box"):
        running.training.work(running.bare_job(tmp_path / "run", *words))
    assert "3 of 3 annotations left out (3 empty polygons)" in (tmp_path / "run/train.log").read_text()
