"""The folder of a run that was refused is free again, and nothing else is ever removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from densepred import api
from densepred.errors import UserError
from densepred.rundir import lock, refused
from tests import running

START = ("config.yaml", "environment.json", "overrides.txt", "splits.json", "train.log")
EVENTS = "tensorboard/events.out.tfevents.1.host.2.0"


def written(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "checkpoints").mkdir(exist_ok=True)
    return folder


def test_what_a_start_writes_is_removed(tmp_path: Path) -> None:
    refused.clear(written(tmp_path, *START, EVENTS))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "other", ["notes.txt", "metrics.jsonl", "checkpoints/3/state.json", "best.safetensors", "a/config.yaml", ".hidden"]
)
def test_anything_else_keeps_everything(tmp_path: Path, other: str) -> None:
    refused.clear(written(tmp_path, *START, EVENTS, other))
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == {
        *START,
        EVENTS,
        other,
    }


def test_links_are_not_followed(tmp_path: Path) -> None:
    others = written(tmp_path / "others", "config.yaml")
    (folder := written(tmp_path / "run", *START)).joinpath("tensorboard").symlink_to(others)
    refused.clear(folder)
    assert (others / "config.yaml").is_file()
    assert (folder / "config.yaml").is_file()


def test_a_folder_that_another_process_has_taken_stays(tmp_path: Path) -> None:
    written(tmp_path, *START)
    with lock.Lock(tmp_path):
        refused.clear(tmp_path)
        assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {*START, lock.FILE}
    refused.clear(tmp_path)
    assert list(tmp_path.iterdir()) == []


def content(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_a_refused_training_leaves_the_name_of_its_folder_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its monitor is refused when the record is written, and a line of train.log too."""
    monkeypatch.chdir(tmp_path)

    def refuse(*words: str) -> None:
        with pytest.raises(UserError, match=r"^trainer\.monitor: no metric computes 'nonsense'"):
            api.train(*running.TINY, "trainer.monitor=nonsense", *words)

    refuse("hydra.run.dir=run")
    refuse("hydra.run.dir=run", "trainer.resume=auto")
    assert content(tmp_path) == set()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/notes.txt").write_text("of the user")
    refuse("hydra.run.dir=run")
    assert content(tmp_path) == {"run", "run/notes.txt"}


def test_the_folder_of_a_refused_run_is_free_elsewhere_too_but_never_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for folder in (tmp_path / "run", Path()):
        with pytest.raises(UserError):
            api.train(*running.TINY, "trainer.monitor=nonsense", f"hydra.run.dir={folder}", "trainer.resume=auto")
    assert content(tmp_path) == {"here"}


def test_a_run_that_has_begun_is_never_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "run", *START)
    before = content(tmp_path)
    for words in (("trainer.resume=run",), ("hydra.run.dir=run", "trainer.resume=auto")):
        with pytest.raises(UserError):
            api.train(*running.TINY, "trainer.monitor=nonsense", *words)
        assert content(tmp_path) == before
