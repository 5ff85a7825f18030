"""Images of validation samples in TensorBoard."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from densepred.codec.semantic import Semantic
from densepred.draw import maps
from densepred.draw.panel import GAP, LINE
from densepred.loss.ce import CrossEntropy
from densepred.rundir.validation_images import ValidationImages, show_training
from densepred.task import Task
from densepred.types import Annotation, Batch, Frame, Info, Sample
from tests import running
from tests.rundir.test_log import opened

OUTPUTS = {"semantic": [torch.zeros(1, 2, 2, 3)]}


def task(info: Info) -> Task:
    return Task(info, Semantic, {"semantic": CrossEntropy()})


def test_pictures_show_the_same_samples_each_time(tmp_path: Path) -> None:
    log, info = opened(tmp_path), Info(classes=("a", "b"), palette=((0, 0, 0), (9, 9, 9)))
    images = ValidationImages(log, task(info), count=2, total=5)
    for step in (1, 2):
        images.open(step)
        for index in range(5):
            labels = torch.full((4, 6), index % 2, dtype=torch.uint8)
            truth = Annotation((4, 6), semantic=labels)
            batch = Batch(torch.zeros(1, 3, 2, 3, dtype=torch.uint8), {}, [Frame(str(index), (4, 6))], [truth])
            images.show(batch, [Annotation((4, 6), semantic=labels)], OUTPUTS)
    log.close()
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert board.Tags()["images"] == ["valid/0_1", "valid/1_3"]
    assert [event.step for event in board.Images("valid/1_3")] == [1, 2]
    assert images.positions == [1, 3]


def test_weights_of_targets_are_one_more_tile(tmp_path: Path) -> None:
    weight = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    assert maps.heat(weight)[:, :, 0].T.tolist() == [[0, 0, 0], [255, 255, 0]]
    assert maps.heat(weight)[:, :, 1].T.tolist() == [[255, 0, 0], [255, 255, 255]]
    assert not maps.heat(torch.zeros(2, 2)).any()
    stacked = {"semantic": weight, "semantic_weight": torch.stack([weight, 0 * weight])}
    assert [tile.tolist() for tile in maps.weights(stacked, (2, 2))] == [maps.heat(weight).tolist()]
    board = _picture(tmp_path / "with", {"semantic_weight": torch.rand(1, 2, 3)})
    plain = _picture(tmp_path / "without", {})
    assert (board.height, board.width) == (2 * (2 * LINE + LINE) + 4 * 60, 5 * 360 + 4 * GAP)
    assert plain.width == 4 * 360 + 3 * GAP


def _picture(folder: Path, targets: dict[str, torch.Tensor]):
    """Return the image of one resized sample."""
    log, info = opened(folder), Info(classes=("a", "b"), palette=((0, 0, 0), (9, 9, 9)))
    truth = Annotation((4, 6), semantic=torch.zeros(4, 6, dtype=torch.uint8))
    batch = Batch(torch.zeros(1, 3, 2, 3, dtype=torch.uint8), targets, [Frame("x", (4, 6))], [truth])
    ValidationImages(log, task(info), count=1, total=1).show(batch, [truth], OUTPUTS)
    log.close()
    board = EventAccumulator(str(folder / "tensorboard"))
    board.Reload()
    return board.Images("valid/0_x")[0]


def test_training_samples_stand_beside_their_ground_truth(tmp_path: Path) -> None:
    log, info = opened(tmp_path), Info(classes=("a", "b"), palette=((0, 0, 0), (9, 9, 9)))
    truth = Annotation((2, 3), semantic=torch.ones(2, 3, dtype=torch.uint8))
    image = torch.full((3, 2, 3), 99, dtype=torch.uint8)
    show_training(log, info, [Sample(image, truth, Frame("ship/7", (2, 3)))] * 2)
    log.close()
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert board.Tags()["images"] == ["train/0_ship/7", "train/1_ship/7"]
    (event,) = board.Images("train/1_ship/7")
    assert (event.step, event.height, event.width) == (0, 2 * LINE + 240 + LINE, 360 + GAP + 360)
    picture = np.array(Image.open(io.BytesIO(event.encoded_image_string)))[2 * LINE : -LINE]
    assert (picture[:, :360] == 99).all()
    assert (picture[:, -360:] == 54).all()  # half image, half the colour of the class


def test_training_samples_are_drawn_once_after_the_first_step(tmp_path: Path) -> None:
    """A run that goes on has them already, and drawing them in the middle of an epoch changes nothing."""
    words = ("logger=tensorboard", "trainer.max_steps=1", "data.workers=1")
    on = ("trainer.max_steps=5", "trainer.allow=[trainer.max_steps]", "logger=tensorboard", "data.workers=1")
    for name, count in (("drawn", 2), ("plain", 0)):
        folder, pictures = tmp_path / name, f"trainer.pictures={count}"
        assert running.train(folder, *words, pictures) == 0
        assert running.train(folder, *on, pictures, f"trainer.resume={folder}") == 0
    assert running.differences(tmp_path / "drawn", tmp_path / "plain") == []
    board = EventAccumulator(str(tmp_path / "drawn/tensorboard"), size_guidance={"images": 0})
    board.Reload()
    drawn = [board.Images(tag) for tag in board.Tags()["images"] if tag.startswith("train/")]
    assert [[event.step for event in events] for events in drawn] == [[0], [0]]
