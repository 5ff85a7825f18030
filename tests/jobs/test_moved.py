"""Lines on the images of a run that lie elsewhere: at the root it goes on with, or at its relative root from here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from densepred.errors import Notice
from densepred.jobs import evaluation, moved, parts, training
from densepred.rundir import splits
from densepred.rundir.log import Log
from densepred.settings import TrainSettings
from tests.dataset import folder_tree

HERE = {"_target_": "densepred.dataset.folder.Folder", "_partial_": True, "root": "data"}


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """Return two folders with a dataset each, of equal names."""
    for place in ("a", "b"):
        for split in ("train", "val"):
            folder_tree.tree(tmp_path / place / "data", split)
    return tmp_path / "a", tmp_path / "b"


def record(place: Path, monkeypatch: pytest.MonkeyPatch) -> splits.Record:
    monkeypatch.chdir(place)
    found = parts.record(HERE, {split: parts.dataset(HERE, split) for split in ("train", "valid")})
    assert found is not None
    return found


def test_a_run_that_goes_on_elsewhere_tells_and_records_it(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = places[0] / "run"
    run.mkdir()
    log, settings = Log(run), TrainSettings(dataset=HERE)
    first = record(places[0], monkeypatch)
    for found in (first, record(places[0], monkeypatch)):
        training._record_splits(found, run, settings, True, log)
    assert capsys.readouterr().err == ""
    training._record_splits(record(places[1], monkeypatch), run, settings, True, log)
    told = f"dataset.root: the run goes on with the images below {places[1]}/data, and began with those below"
    assert f"{told} {places[0]}/data" in capsys.readouterr().err
    assert splits.files(run, "valid")[0] == places[1] / "data"

    for kind in ("images", "masks"):
        (places[0] / "data" / kind / "val/a.png").unlink()
    training._record_splits(record(places[0], monkeypatch), run, settings, True, log)
    assert "the valid split had 2 images and has 1" in capsys.readouterr().err
    assert splits.files(run, "valid")[0] == places[1] / "data", "of other images the record stays"


def test_a_relative_root_that_leads_elsewhere_from_here_gets_a_line(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    then = record(places[0], monkeypatch)
    splits.write(places[0], then)
    now = record(places[1], monkeypatch)
    with pytest.warns(Notice, match=rf"dataset.root=data: is {places[1]}/data from here, and the run was trained on"):
        evaluation.compare_splits(
            places[0] / "best.safetensors", {}, HERE, "valid", parts.dataset(HERE, "valid"), allowed=False
        )
    assert moved.elsewhere({"root": "../b/data"}, then, now) is None, "another root was typed"
    assert moved.elsewhere({"root": str(places[1] / "data")}, then, now) is None
    assert moved.elsewhere({"root": "../data"}, then, now) is not None
    monkeypatch.chdir(places[0])
    assert moved.elsewhere(HERE, then, then) is None
    os.symlink(places[0] / "data", places[0] / "link")
    assert moved.elsewhere(HERE, then, splits.Record(str(places[0] / "link"), {})) is None
    shutil.rmtree(places[0] / "data")
    assert moved.elsewhere(HERE, then, now) is None, "the dataset was moved"
