"""Loss of power at every operation of a save: what was not synced is empty, zero, or there, and a checkpoint is found.

The file system is watched from outside: every operation that orders writes is a moment at which the power may go.
Names follow their operations at once, as a journal keeps them; the content of a file counts from its fsync.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from densepred.rundir.checkpoints import FILES, Checkpoints
from densepred.weights.file import read_tensors

ORDERING = ("fsync", "rename", "replace", "link", "unlink", "mkdir", "rmdir")
LOSSES: dict[str, Callable[[bytes], bytes]] = {
    "written": lambda data: data,
    "dropped": lambda data: b"",
    "zeroed": lambda data: bytes(len(data)),
    "halved": lambda data: data[: len(data) // 2],
}


class Disk:
    """A folder, and what each file of it holds for certain: its content at the last fsync, by inode."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.synced = {path.stat().st_ino: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        self.moments: list[tuple[str, dict[str, tuple[bytes, bytes | None]]]] = []

    def look(self, operation: str) -> None:
        """Note names, content, and what of it is certain."""
        files = {}
        for path in self.folder.rglob("*"):
            if path.is_file():
                files[str(path.relative_to(self.folder))] = path.read_bytes(), self.synced.get(path.stat().st_ino)
        self.moments.append((operation, files))

    def sync(self, handle: int) -> None:
        inode = os.fstat(handle).st_ino
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
        for name, (data, certain) in self.moments[moment][1].items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data if data == certain else loss(data))
        return folder


@pytest.mark.parametrize("step", [3, 2], ids=["a new step", "a step that is saved again"])
def test_after_a_loss_of_power_at_any_operation_a_whole_checkpoint_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints", keep_last=2)
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
    for moment, (operation, _) in enumerate(disk.moments):
        for name, loss in LOSSES.items():
            folder = disk.after(moment, loss, tmp_path / f"{moment}{name}")
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
    assert not any((folder / "1" / name).read_bytes().strip(b"\0") for name in FILES)
    assert read_tensors(tmp_path / "checkpoints" / "1" / FILES[0])["w"].sum() == 9
