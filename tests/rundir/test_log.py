"""What a run writes down, and how it forgets what comes after a checkpoint."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from densepred.codec.semantic import Semantic
from densepred.draw import maps
from densepred.errors import Notice, notices
from densepred.loss.ce import CrossEntropy
from densepred.rundir import console, provenance
from densepred.rundir.images import Gallery
from densepred.rundir.log import Log
from densepred.task import Task
from densepred.types import VOID, Annotation, Batch, Frame, Info

SAID = {"semantic": [torch.zeros(1, 2, 2, 3)]}


def task(info: Info) -> Task:
    return Task(info, Semantic, {"semantic": CrossEntropy()})


def test_scalars_are_lines_of_json_and_points_in_tensorboard(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.scalars("valid", {"miou": 0.5, "iou/car": None}, 7, 1)
    log.picture("valid/sample_0", torch.zeros(3, 4, 5, dtype=torch.uint8), 7)
    log.close()
    line = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert line == {"step": 7, "epoch": 1, "valid/miou": 0.5, "valid/iou/car": None}
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert board.Tags()["scalars"] == ["valid/miou"]
    assert board.Tags()["images"] == ["valid/sample_0"]
    assert [(event.step, event.value) for event in board.Scalars("valid/miou")] == [(7, 0.5)]


def test_a_notice_of_a_component_is_one_line_and_other_warnings_stay_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings(record=True) as others, notices(Log(tmp_path).warn):
        warnings.simplefilter("always")
        warnings.warn("look here", Notice, stacklevel=1)
        warnings.warn("of a library", UserWarning, stacklevel=1)
    assert [str(other.message) for other in others] == ["of a library"]
    assert capsys.readouterr().err == "warning: look here\n"
    assert (tmp_path / "train.log").read_text() == "warning: look here\n"


def test_rewinding_forgets_what_came_after_and_nothing_else(tmp_path: Path) -> None:
    first = Log(tmp_path)
    first.scalars("train", {"a": 1.0}, 1, 0)
    position = first.position()
    before = {name: (tmp_path / name).read_bytes() for name in position}
    first.scalars("train", {"a": 2.0}, 2, 0)
    first.timing({"seconds": 1.0}, 2)
    first.close()
    Log(tmp_path).rewind(position)
    assert {name: (tmp_path / name).read_bytes() for name in position} == before
    assert not (tmp_path / "timing.jsonl").exists()


def test_a_log_that_is_not_the_main_one_writes_nothing(tmp_path: Path) -> None:
    log = Log(tmp_path, enabled=False)
    log.say("x")
    log.scalars("train", {"a": 1.0}, 1, 0)
    log.timing({"a": 1.0}, 1)
    log.close()
    assert not any(tmp_path.iterdir())


def test_secrets_stay_out_of_what_is_recorded(tmp_path: Path) -> None:
    config = OmegaConf.create(
        {
            "weights": {"api_token": "hunter2"},
            "dataset": {"root": "https://me:hunter2@host/x", "user": "${oc.env:USER}"},
        }
    )
    provenance.write(
        tmp_path, provenance.plain(config), ["weights.api_token=hunter2", "dataset.root=https://me:hunter2@host/x"]
    )
    text = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "hunter2" not in text
    assert "${oc.env:USER}" in text


def test_pictures_show_the_same_samples_each_time(tmp_path: Path) -> None:
    log, info = Log(tmp_path), Info(classes=("a", "b"), palette=((0, 0, 0), (9, 9, 9)))
    gallery = Gallery(log, task(info), count=2, total=5)
    for step in (1, 2):
        gallery.open(step)
        for index in range(5):
            labels = torch.full((4, 6), index % 2, dtype=torch.uint8)
            truth = Annotation((4, 6), semantic=labels)
            batch = Batch(torch.zeros(1, 3, 2, 3, dtype=torch.uint8), {}, [Frame(str(index), (4, 6))], [truth])
            gallery.show(batch, [Annotation((4, 6), semantic=labels)], SAID)
    log.close()
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert board.Tags()["images"] == ["valid/sample_0", "valid/sample_1"]
    assert [event.step for event in board.Images("valid/sample_1")] == [1, 2]
    assert gallery.wanted == [1, 3]


def test_colours_errors_and_overlays_are_as_the_palette_says() -> None:
    palette = ((255, 0, 0), (0, 255, 0))
    truth = torch.tensor([[0, 1, VOID]], dtype=torch.uint8)
    guess = torch.tensor([[0, 0, 1]], dtype=torch.uint8)
    assert maps.colours(truth, palette)[:, 0].T.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 0]]
    assert maps.errors(guess, truth)[:, 0].T.tolist() == [list(maps.RIGHT), list(maps.WRONG), list(maps.UNKNOWN)]
    image = torch.full((3, 1, 3), 100, dtype=torch.uint8)
    assert maps.overlay(image, truth, palette)[:, 0].T.tolist() == [[178, 50, 50], [50, 178, 50], [100, 100, 100]]


def test_weights_of_targets_are_one_more_tile(tmp_path: Path) -> None:
    weight = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    assert maps.heat(weight)[:, :, 0].T.tolist() == [[0, 0, 0], [255, 255, 0]]
    assert maps.heat(weight)[:, :, 1].T.tolist() == [[255, 0, 0], [255, 255, 255]]
    assert not maps.heat(torch.zeros(2, 2)).any()
    stacked = {"semantic": weight, "semantic_weight": torch.stack([weight, 0 * weight])}
    assert [tile.tolist() for tile in maps.weights(stacked, (2, 2))] == [maps.heat(weight).tolist()]
    board = _picture(tmp_path / "with", {"semantic_weight": torch.rand(1, 2, 3)})
    plain = _picture(tmp_path / "without", {})
    assert (board.height, board.width) == (4, 5 * 6 + 4 * maps.GAP)
    assert plain.width == 4 * 6 + 3 * maps.GAP


def _picture(folder: Path, targets: dict[str, torch.Tensor]):
    """What a gallery writes of one resized sample."""
    log, info = Log(folder), Info(classes=("a", "b"), palette=((0, 0, 0), (9, 9, 9)))
    truth = Annotation((4, 6), semantic=torch.zeros(4, 6, dtype=torch.uint8))
    batch = Batch(torch.zeros(1, 3, 2, 3, dtype=torch.uint8), targets, [Frame("x", (4, 6))], [truth])
    Gallery(log, task(info), count=1, total=1).show(batch, [truth], SAID)
    log.close()
    board = EventAccumulator(str(folder / "tensorboard"))
    board.Reload()
    return board.Images("valid/sample_0")[0]


def test_images_of_any_channels_can_be_shown() -> None:
    assert torch.equal(maps.rgb(torch.full((1, 2, 2), 0.5)), torch.full((3, 2, 2), 128, dtype=torch.uint8))
    assert maps.rgb(torch.zeros(6, 2, 2, dtype=torch.uint8)).shape == (3, 2, 2)


def test_tables_put_classes_in_rows_and_undefined_values_as_dashes() -> None:
    text = console.scores({"miou": 0.25, "iou/sky": 0.5, "dice/sky": None, "loss/total": 1.0})
    assert "sky    0.5000     -" in text
    assert "miou        0.2500" in text
    assert "loss/total  1.0000" in text
