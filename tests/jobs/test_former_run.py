"""Notices on weights that have seen the validation images, or that were trained on images that were read otherwise."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest

from densepred.cli import compose
from densepred.errors import Notice
from densepred.jobs import former_run, parts, training
from densepred.rundir import splits
from densepred.weights.file import save_weights
from tests import running
from tests.conftest import composed
from tests.dataset.files import mask, picture, write


def tree(root: Path) -> Path:
    for number in range(8):
        write(root / f"images/train/{number}.png", picture())
        write(root / f"masks/train/{number}.png", mask())
    return root


def told(root: Path, fold: int, run: Path, key: str = "init", *more: str) -> list[str]:
    words = ("dataset=folder", f"dataset.root={root}", "dataset.folds=2", f"dataset.fold={fold}")
    settings = compose.settings(composed(*words, f"weights.{key}={run}", *more))
    train, valid = (parts.dataset(settings.dataset, split) for split in ("train", "valid"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        former_run.tell(settings, train, valid)
    return [str(one.message) for one in caught if one.category is Notice]


def former(root: Path, fold: int, run: Path) -> Path:
    """Write the record and the (empty) weights of a run on one of two folds."""
    node = {
        "_target_": "densepred.dataset.folder.Folder",
        "_partial_": True,
        "root": str(root),
        "folds": 2,
        "fold": fold,
    }
    found = parts.record(node, {split: parts.dataset(node, split) for split in ("train", "valid")})
    assert found is not None
    run.mkdir()
    splits.write(run, found)
    save_weights(
        run / "best.safetensors", {}, {"model": {}, "task": {}, "info": parts.dataset(node, "train").info.to_json()}
    )
    return run


def test_weights_that_know_validation_images_get_a_line(tmp_path: Path) -> None:
    root = tree(tmp_path / "data")
    run = former(root, 0, tmp_path / "run")
    count = len(splits.read(run).splits["train"].names or ())  # type: ignore[union-attr]
    assert told(root, 0, run) == []
    for key in former_run.KEYS:
        (line,) = told(root, 1, run, key)
        assert line.startswith(f"weights.{key}={run}: {count} of the {count} validation images are training images of")
        assert "(images/train/" in line
    assert told(root, 1, run / "best.safetensors", "init") != []


def test_a_moved_dataset_is_known_and_another_one_of_equal_names_is_not(tmp_path: Path) -> None:
    root = tree(tmp_path / "data")
    run = former(root, 0, tmp_path / "run")
    other = tree(tmp_path / "other")
    assert told(other, 1, run) == []
    shutil.rmtree(root)
    assert told(other, 1, run) != []


def test_images_that_are_read_otherwise_get_a_line(tmp_path: Path) -> None:
    root = tree(tmp_path / "data")
    run = former(root, 0, tmp_path / "run")
    assert told(root, 0, run, "init", "dataset.channels=[1,2,3]") == []  # the same three bands
    (line,) = told(root, 0, run, "init", "dataset.channels=[3,2,1]")
    assert f"weights.init={run}: dataset.channels was [1,2,3] in that run and is [3,2,1] here" in line
    assert line.endswith("type dataset.channels=[1,2,3] to read images alike")
    (line,) = told(root, 0, run, "encoder", "dataset.window=[40,400]")
    assert "dataset.window was null in that run and is [40" in line


@pytest.mark.slow
def test_training_tells_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("dataset=folder", f"dataset.root={tree(tmp_path / 'data')}", "dataset.folds=2", "trainer.max_steps=1")
    small = ("model=unet", "encoder.widths=[4,8]", "data.batch_size=2", "trainer.pictures=0", "logger=csv")
    assert training.work(running.bare_job(tmp_path / "a", *words, *small, "dataset.fold=0")) == 0
    assert "training images of that run" not in capsys.readouterr().err
    again = (*words, *small, "dataset.fold=1", f"weights.init={tmp_path / 'a'}")
    assert training.work(running.bare_job(tmp_path / "b", *again)) == 0
    assert "training images of that run (images/train/" in capsys.readouterr().err
