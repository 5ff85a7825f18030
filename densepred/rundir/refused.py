"""The folder of a run that was refused: cleared again if it holds nothing but what its start has written."""

from __future__ import annotations

import contextlib
from pathlib import Path

from densepred import atomic
from densepred.errors import UserError
from densepred.rundir import lock, splits
from densepred.rundir.log import TEXT
from densepred.rundir.provenance import OVERRIDES

WRITTEN = {*lock.BEFORE_RECORD, OVERRIDES, splits.FILE, TEXT}
"""Files that a start writes before the first measurement."""

EVENTS = "tensorboard/events.out.tfevents.*"
"""Its pictures of training samples."""

FOLDERS = ("tensorboard", "checkpoints")


def clear(folder: Path) -> None:
    """Remove the files of a start, under the lock of the folder; leave everything if there is anything else.

    For a folder that this process has made. Another process may have taken it since, and then it stays as well.
    """
    if not _only_of_start(folder):
        return
    with contextlib.suppress(OSError, UserError), lock.Lock(folder, say=lambda text: None):
        if not _only_of_start(folder):
            return
        for path in _files(folder):
            if path.name != lock.FILE:
                path.unlink()
        for name in FOLDERS:
            if (folder / name).is_dir():
                (folder / name).rmdir()


def _only_of_start(folder: Path) -> bool:
    names = [path.relative_to(folder) for path in _files(folder)]
    return all(name.as_posix() in {*WRITTEN, lock.FILE} or name.match(EVENTS) for name in names)


def _files(folder: Path) -> list[Path]:
    """Return everything but plain folders; temporary files of this program are left to `atomic.clean`."""
    found = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    return [path for path in found if not atomic.OURS.fullmatch(path.name)]
