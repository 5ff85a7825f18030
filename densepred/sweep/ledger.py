"""The ledger of a sweep: what became of each job, so that the same command again goes on where it ended."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from densepred.errors import UserError
from densepred.rundir import folder_lock, variables

NAME = "ledger.jsonl"

OF_ONE_START = (("hydra",), ("sweep",), ("trainer", "resume"), ("trainer", "allow"))
"""Parts of the config outside a job's identity: folders, and settings of one start."""


@contextmanager
def alone(sweep: Path) -> Iterator[None]:
    """Hold the folder of a sweep inside the block. Raises UserError if another process holds it."""
    handle = folder_lock.take(sweep)
    if handle is None:
        raise UserError(
            f"hydra.sweep.dir={sweep}: the sweep still runs in another process; wait for its end or stop it"
        )
    try:
        yield  # without locks of the file system each job still has a lock of its own
    finally:
        os.close(handle)


def identity(config: DictConfig) -> str:
    """Return the hash of the composed config of a job, SHA-256 in hexadecimal, without `OF_ONE_START`.

    Values of environment variables that it names are part of it.
    """
    plain: Any = OmegaConf.to_container(config, resolve=False)
    for *path, last in OF_ONE_START:
        node = plain
        for key in path:
            node = node.get(key) or {}
        node.pop(last, None)
    found = hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode())
    values = variables.behind(config)
    return variables.digest(values, found.digest()) if values else found.hexdigest()


@dataclass(frozen=True)
class Entry:
    """One event of a job. `state` is begun, done, pruned, stopped or failed; `folder` is relative to the sweep's."""

    job: int
    overrides: list[str]
    identity: str
    state: str
    folder: str
    code: int | None = None
    score: float | None = None
    seconds: float = 0.0

    def ended(self, state: str, code: int, score: float | None, seconds: float) -> Entry:
        """Return the event that ends what this one has begun."""
        return replace(self, state=state, code=code, score=score, seconds=seconds)


class Ledger:
    """`ledger.jsonl` in the folder of a sweep, one line per event; the last line of a folder counts."""

    def __init__(self, sweep: Path) -> None:
        self.sweep, self.file = sweep, sweep / NAME

    def last(self) -> dict[str, Entry]:
        """Return the last event of each folder. A line cut off by a kill, the last one, is left out.

        Raises UserError if another line cannot be read.
        """
        lines = self.file.read_bytes().splitlines() if self.file.is_file() else []
        found = {}
        for number, line in enumerate(lines, 1):
            try:
                entry = Entry(**json.loads(line))
            except (ValueError, TypeError, RecursionError) as error:
                if number == len(lines):
                    break
                raise UserError(f"{self.file}: line {number} is damaged; give another hydra.sweep.dir") from error
            found[entry.folder] = entry
        return found

    def write(self, entry: Entry) -> None:
        """Append an event, and wait until it is on the disk."""
        self.sweep.mkdir(parents=True, exist_ok=True)
        self._cut()
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(vars(entry)) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _cut(self) -> None:
        """Remove a last line without its end."""
        data = self.file.read_bytes() if self.file.is_file() else b""
        if data and not data.endswith(b"\n"):
            os.truncate(self.file, data.rfind(b"\n") + 1)

    def former(self, folder: Path, wanted: str, names: Sequence[str] = ()) -> Entry | None:
        """Return the last event of the job in `folder`, None if it is new.

        names: environment variables in its settings

        Raises UserError if the folder holds a job of other settings, or a finished one that the ledger does not know.
        """
        entry = self.last().get(os.path.relpath(folder, self.sweep))
        if entry is not None and entry.identity != wanted and folder.exists():
            other = f", or of other values of {', '.join(names)}" if names else ""
            raise UserError(f"{folder}: holds a job of other settings{other}; give another hydra.sweep.dir")
        if entry is None and ((folder / "summary.json").exists() or (folder / "checkpoints").exists()):
            raise UserError(f"{folder}: holds a run that {self.file} does not know; give another hydra.sweep.dir")
        return entry if entry is not None and entry.identity == wanted else None
