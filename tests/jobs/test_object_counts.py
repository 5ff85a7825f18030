"""Images of the training split with more objects than a limit lets through, before the first step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from densepred.contracts import Dataset
from densepred.engine.detection_limits import ObjectCounts
from densepred.errors import UserError
from densepred.jobs import object_counts
from densepred.types import Annotation, Frame, Info, Sample
from tests import running

SIZE = (10, 10)


class Growing(Dataset):
    """Image i holds i boxes; `broken` cannot be read."""

    def __init__(self, count: int, broken: int = -1) -> None:
        self.info, self.count, self.broken, self.read = Info(classes=("cat",)), count, broken, []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if index == self.broken:
            raise UserError("damaged")
        self.read.append(index)
        return Sample(torch.zeros(3, *SIZE), Annotation(SIZE, boxes=torch.zeros(index, 4)), Frame("a", SIZE))


def test_all_images_are_read_if_they_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    assert object_counts.most_objects(Growing(5)) == (ObjectCounts(4, 4, 4), "training", True)
    assert object_counts.most_objects(Growing(5, broken=3)) == (ObjectCounts(4, 4, 4), "training", False)
    assert object_counts.most_objects(Growing(5, broken=0)) == (ObjectCounts(4, 4, 4), "training", False)
    assert object_counts.most_objects(Growing(0))[0] == ObjectCounts()
    monkeypatch.setattr(object_counts, "PIXELS", 200)
    data = Growing(5)
    assert object_counts.most_objects(data) == (ObjectCounts(3, 3, 3), "training", False)
    assert set(data.read) == {0, 3}


def test_a_run_tells_it_before_its_first_step_and_an_evaluation_too(tmp_path: Path) -> None:
    words = ["task=instance_center", "metric=mask_ap", "task.codec.max_detections=1", "trainer.max_steps=1"]
    assert running.train(tmp_path / "run", *words) == 0
    log = (tmp_path / "run/train.log").read_text()
    told = "task.codec.max_detections=1: an image of the training split holds"
    assert told in log
    assert log.index(told) < log.index("length")
    assert "task.codec.max_detections=1: an image of the validation split holds" in log
