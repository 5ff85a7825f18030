"""Results that the disk refused: training goes on, and the command ends with a code if they are missing at its end."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from densepred.errors import SYSTEM, MachineError, UserError

FREE = "free some space"


class Losses:
    """The files of a run folder that could not be written so far."""

    def __init__(self, folder: Path, warn: Callable[[str], object]) -> None:
        self.folder, self.warn = folder, warn
        self.lost: dict[str, str] = {}  # what to do about it, by the name

    @contextmanager
    def writing(self, name: str, fact: str) -> Iterator[None]:
        """Warn with `fact` if the block cannot write; what was there before is whole, and the next one may fit."""
        self.require_folder()
        try:
            yield
        except OSError as error:
            self.require_folder()
            self.lost[name] = _remedy(error)
            self.warn(f"{fact}: {error}; {self.lost[name]}")
        else:
            self.lost.pop(name, None)

    def require_folder(self) -> None:
        """Raise UserError if the folder is gone: writing would make it again, with a part of a run."""
        if not self.folder.is_dir():
            raise UserError(f"{self.folder}: the folder was deleted or moved while the run wrote to it; start again")

    def require_none(self, waiting: Sequence[str]) -> None:
        """Raise MachineError if a result is missing; `waiting` are files with lines that could not be written."""
        if missing := sorted({*self.lost, *waiting}):
            remedy = ", ".join(sorted(set(self.lost.values()))) or FREE
            raise MachineError(f"{self.folder}: {', '.join(missing)} could not be written; {remedy}")


def _remedy(error: OSError) -> str:
    if error.errno in (errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY):
        return "move away what has its name"
    return FREE if error.errno in (errno.ENOSPC, errno.EDQUOT) else SYSTEM.get(error.errno or 0, "check the disk")
