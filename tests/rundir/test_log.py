"""The log of a run, and its rewinding to a checkpoint."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from densepred.draw import maps
from densepred.errors import Notice, notices
from densepred.logger.csv_file import CsvFile
from densepred.logger.tensorboard import TensorBoard
from densepred.rundir import console, provenance
from densepred.rundir.log import Log
from densepred.types import VOID


def opened(folder: Path) -> Log:
    log = Log(folder)
    log.loggers = [TensorBoard(folder, {}), CsvFile(folder, {})]
    return log


def test_scalars_are_lines_of_json_and_points_in_tensorboard(tmp_path: Path) -> None:
    log = opened(tmp_path)
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


def test_rewinding_truncates_to_the_position_alone(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.scalars("train", {"a": 1.0}, 1, 0)
    position = first.position()
    before = {name: (tmp_path / name).read_bytes() for name in position}
    first.scalars("train", {"a": 2.0}, 2, 0)
    first.timing({"seconds": 1.0}, 2, 0)
    first.close()
    opened(tmp_path).rewind(position)
    assert {name: (tmp_path / name).read_bytes() for name in position} == before
    assert not (tmp_path / "timing.jsonl").exists()


def test_the_files_of_a_logger_outlast_a_start_without_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = opened(tmp_path)
    first.scalars("train", {"a": 1.0}, 1, 0)
    position = first.position()
    before = {name: (tmp_path / name).read_bytes() for name in position}
    first.scalars("train", {"a": 2.0}, 2, 0)  # after the checkpoint
    first.close()
    without = Log(tmp_path)
    without.rewind(position)
    without.scalars("train", {"a": 2.0}, 2, 0)
    position = without.position()
    opened(tmp_path).rewind(position)
    assert {name: (tmp_path / name).read_bytes() for name in before if name != "metrics.jsonl"} == {
        name: text for name, text in before.items() if name != "metrics.jsonl"
    }
    assert not capsys.readouterr().err
    opened(tmp_path).rewind({"metrics.jsonl": position["metrics.jsonl"]})  # a checkpoint without the record
    assert "metrics.csv: the checkpoint records nothing of it" in capsys.readouterr().err


def test_a_log_that_is_not_the_main_one_writes_nothing(tmp_path: Path) -> None:
    log = Log(tmp_path, enabled=False)
    log.say("x")
    log.scalars("train", {"a": 1.0}, 1, 0)
    log.timing({"a": 1.0}, 1, 0)
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
        tmp_path, provenance.as_written(config), ["weights.api_token=hunter2", "dataset.root=https://me:hunter2@host/x"]
    )
    text = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "hunter2" not in text
    assert "${oc.env:USER}" in text


def test_colours_and_overlays_are_follow_the_palette() -> None:
    palette = ((255, 0, 0), (0, 255, 0))
    truth = torch.tensor([[0, 1, VOID]], dtype=torch.uint8)
    assert maps.colours(truth, palette)[:, 0].T.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 0]]
    image = torch.full((3, 1, 3), 100, dtype=torch.uint8)
    assert maps.overlay(image, truth, palette)[:, 0].T.tolist() == [[178, 50, 50], [50, 178, 50], [100, 100, 100]]


def test_images_of_any_channels_can_be_shown() -> None:
    assert torch.equal(maps.rgb(torch.full((1, 2, 2), 0.5)), torch.full((3, 2, 2), 128, dtype=torch.uint8))
    assert maps.rgb(torch.zeros(6, 2, 2, dtype=torch.uint8)).shape == (3, 2, 2)


def test_tables_put_classes_in_rows_and_undefined_values_as_dashes() -> None:
    text = console.scores({"miou": 0.25, "iou/sky": 0.5, "dice/sky": None, "loss/total": 1.0})
    assert "sky    0.5000     -" in text
    assert "miou        0.2500" in text
    assert "loss/total  1.0000" in text


def test_numbers_that_are_not_finite_are_null_and_no_points(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.scalars("valid", {"loss/total": float("nan"), "miou": 0.5, "x": float("-inf")}, 1, 0)
    log.timing({"images_per_second": float("inf"), "seconds": 1.0}, 1, 0)
    log.close()
    assert '"valid/loss/total": null, "valid/miou": 0.5, "valid/x": null' in (tmp_path / "metrics.jsonl").read_text()
    assert '"images_per_second": null, "seconds": 1.0' in (tmp_path / "timing.jsonl").read_text()
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert board.Tags()["scalars"] == ["valid/miou", "time/seconds"]


def test_a_changed_or_shorter_train_log_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log(tmp_path)
    log.say("a line of text")
    position = log.position()
    digests = log.digests(position)
    Log(tmp_path).check(position, digests)
    assert capsys.readouterr().err == ""
    for text, fact in (("another text here", "its lines differ"), ("a", "its end is lost")):
        (tmp_path / "train.log").write_text(text)
        Log(tmp_path).check(position, digests)
        assert fact in capsys.readouterr().err


class Failing:
    """A logger of another program that fails in one of its methods."""

    def __init__(self, method: str, error: Exception) -> None:
        self.method, self.error = method, error

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: object) -> list[Path]:
            if name == self.method:
                raise self.error
            return []

        return call


@pytest.mark.parametrize("method", ["scalars", "image", "flush", "close"])
@pytest.mark.parametrize("error", [OSError("no space"), ConnectionError("refused"), RuntimeError("run\nis finished")])
def test_a_logger_that_fails_ends_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str, error: Exception
) -> None:
    log, other = Log(tmp_path), CsvFile(tmp_path, {})
    failing: Any = Failing(method, error)
    log.loggers = [failing, other]
    for step in (1, 2):
        log.scalars("train", {"loss": 0.5}, step, 0)
        log.picture("valid/a", torch.zeros(3, 4, 4, dtype=torch.uint8), step)
        log.position()
    log.close()
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("warning: Failing: ")
    assert err.endswith("; its records end here, metrics.jsonl goes on\n")
    text = (tmp_path / "train.log").read_text()
    assert ("RuntimeError: run is finished" in err, "Traceback" in text) == (isinstance(error, RuntimeError),) * 2
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2
    assert len(other.path.read_text().splitlines()) == 3
