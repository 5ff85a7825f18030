"""Loss of power at every operation of a save: what was not synced is empty, zero, or there, and a checkpoint is found.

The file system is watched from outside: every operation that orders writes is a moment at which the power may go.
The content of a file counts from its fsync. Names follow their operations at once, as a journal keeps them. Or those of
the folder of checkpoints are as they were at its last fsync, while all others have followed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from densepred.rundir.checkpoints import Checkpoints
from densepred.weights.file import read_tensors

ORDERING = ("fsync", "rename", "replace", "link", "unlink", "mkdir", "rmdir")
LOSSES: dict[str, Callable[[bytes], bytes]] = {
    "written": lambda data: data,
    "dropped": lambda data: b"",
    "zeroed": lambda data: bytes(len(data)),
    "halved": lambda data: data[: len(data) // 2],
}


class Moment(NamedTuple):
    """Files by their paths, with what is certain of each, and folders by inode: their names now, and certain ones."""

    operation: str
    files: dict[str, tuple[bytes, bytes | None]]
    names: dict[int, str]
    certain: dict[int, str]


def _names(folder: Path) -> dict[int, str]:
    return {path.stat().st_ino: path.name for path in folder.glob("*") if path.is_dir()}


class Disk:
    """A folder, and what each file of it holds for certain: its content at the last fsync, by inode."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names = _names(folder)
        """The folders in it at its last fsync, by inode."""
        self.synced = {path.stat().st_ino: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        self.moments: list[Moment] = []

    def look(self, operation: str) -> None:
        """Note names, content, and what of it is certain."""
        files = {}
        for path in self.folder.rglob("*"):
            if path.is_file():
                files[str(path.relative_to(self.folder))] = path.read_bytes(), self.synced.get(path.stat().st_ino)
        self.moments.append(Moment(operation, files, _names(self.folder), dict(self.names)))

    def sync(self, handle: int) -> None:
        inode = os.fstat(handle).st_ino
        if inode == self.folder.stat().st_ino:
            self.names = _names(self.folder)
        for path in self.folder.rglob("*"):
            if path.is_file() and path.stat().st_ino == inode:
                self.synced[inode] = path.read_bytes()

    @contextmanager
    def watched(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        with monkeypatch.context() as patch:
            for name in ORDERING:
                patch.setattr(os, name, self._noted(name, getattr(os, name)))
            yield
        self.look("end")

    def _noted(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            self.look(f"before {name}")
            done = original(*arguments, **more)
            if name == "fsync":
                self.sync(arguments[0])
            return done

        return call

    def after(self, moment: int, loss: Callable[[bytes], bytes], folder: Path) -> Path:
        """Make the folder as it is after a loss of power at this moment."""
        for name, (data, certain) in self.moments[moment].files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data if data == certain else loss(data))
        return folder

    def with_former_names(self, moment: int, folder: Path) -> Path:
        """Make the folder as it is after a loss of power that its names did not survive, but all else did."""
        _, files, names, certain = self.moments[moment]
        for inode, name in certain.items():  # one without a name now has been emptied before it was removed
            (folder / name).mkdir(parents=True)
            for path, (data, _) in files.items():
                if path.startswith(f"{names.get(inode)}/"):
                    (folder / name / Path(path).name).write_bytes(data)
        return folder


@pytest.mark.parametrize("kept", [1, 2])
@pytest.mark.parametrize("step", [3, 2], ids=["a new step", "a step that is saved again"])
def test_after_a_loss_of_power_at_any_operation_a_whole_checkpoint_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, kept: int
) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints", keep_last=kept)
    best = tmp_path / "checkpoints" / "best"
    tensors = {"a": torch.ones(50), "b": torch.arange(7)}
    for old in (1, 2):
        checkpoints.save(old, {"w": torch.full((9,), float(old))}, tensors, {"step": old})
    best.write_bytes(b"best")
    disk = Disk(tmp_path / "checkpoints")
    with disk.watched(monkeypatch):
        checkpoints.save(step, {"w": torch.full((9,), 7.0)}, tensors, {"step": step}, best)
    assert len(disk.moments) > 10
    found = set()
    for moment, (operation, *_) in enumerate(disk.moments):
        after = {name: disk.after(moment, loss, tmp_path / f"{moment}{name}") for name, loss in LOSSES.items()}
        after["former names"] = disk.with_former_names(moment, tmp_path / f"{moment}former")
        for name, folder in after.items():
            newest = Checkpoints(folder, warn=lambda text: None).newest()
            assert newest is not None, (operation, name)
            value = newest.weights["w"][0].item()
            assert (newest.step, value) in {(2, 2.0), (step, 7.0)}, (operation, name)
            assert newest.tensors.keys() == tensors.keys()
            found.add(value)
            shutil.rmtree(folder)
    assert found == {2.0, 7.0}


def test_the_replay_notices_a_save_that_does_not_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With files that are never synced, the new checkpoint is never certain: the check above can fail."""
    from densepred import atomic

    checkpoints = Checkpoints(tmp_path / "checkpoints", keep_last=1)
    disk = Disk(tmp_path / "checkpoints")
    monkeypatch.setattr(atomic, "sync", lambda path: None)
    with disk.watched(monkeypatch):
        checkpoints.save(1, {"w": torch.ones(9)}, {}, {})
    folder = disk.after(len(disk.moments) - 1, LOSSES["zeroed"], tmp_path / "after")
    assert not any(
        (folder / "1" / name).read_bytes().strip(b"\0")
        for name in ("weights.safetensors", "state.safetensors", "state.json")
    )
    assert read_tensors(tmp_path / "checkpoints" / "1" / "weights.safetensors")["w"].sum() == 9
