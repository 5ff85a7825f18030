"""Checkpoints to resume from: all that the rest of a run depends on, in one folder per step.

A folder gets its name only when its files have reached the disk, and its manifest holds the digest of each. So a
checkpoint is either complete or recognised as damaged, whenever the process or the machine stops.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from densepred import atomic
from densepred.errors import UserError
from densepred.rundir import tensor_file
from densepred.weights.file import read_tensors

WEIGHTS, STATE, META, MANIFEST = "weights.safetensors", "state.safetensors", "state.json", "manifest.json"
FILES = (WEIGHTS, STATE, META)
BEST = "best.safetensors"
"""The best weights when a checkpoint was written: a second name of the run's file."""


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint, read and verified."""

    step: int
    weights: dict[str, Tensor]
    tensors: dict[str, Tensor]
    meta: dict[str, Any]


class Checkpoints:
    """The checkpoints of a run. `warn` is called with a message about each damaged one."""

    def __init__(self, folder: Path, keep_last: int = 2, warn: Callable[[str], object] = warnings.warn) -> None:
        self.folder, self.keep_last, self.warn = folder, keep_last, warn

    def save(
        self,
        step: int,
        weights: Mapping[str, Tensor],
        tensors: Mapping[str, Tensor],
        meta: Mapping[str, Any],
        best: Path | None = None,
    ) -> None:
        """Write a checkpoint, then remove the oldest. An OSError leaves the others as they were.

        `best` is the file of the best weights so far: the checkpoint keeps it under a second name.
        """
        try:
            self._save(step, weights, tensors, meta, best)
        except OSError as error:
            size = sum(value.numel() * value.element_size() for value in (*weights.values(), *tensors.values()))
            free = shutil.disk_usage(self.folder if self.folder.is_dir() else Path()).free
            reason = f"{error.strerror or error} ({size} bytes to write, {free} free)"
            raise OSError(error.errno, reason, str(self.folder)) from error
        self._prune()

    def newest(self) -> Checkpoint | None:
        """Return the newest complete checkpoint, None if there is none; `warn` names damaged ones, which are skipped.

        Raises UserError if all are damaged.
        """
        steps = self.steps()
        found = next((found for step in reversed(steps) if (found := self._try(step)) is not None), None)
        if found is None and steps:
            raise UserError(
                f"{self.folder}: each of its {len(steps)} checkpoints is damaged; put one back from a copy, or start a "
                f"new run, from the weights of this one by weights.init={self.folder.parent}"
            )
        return found

    def _try(self, step: int) -> Checkpoint | None:
        try:
            return self.load(step)
        except UserError as error:
            self.warn(f"{error}; it is skipped")
            return None

    def load(self, step: int) -> Checkpoint:
        """Read one checkpoint. Raises UserError if it is damaged."""
        folder = self.folder / str(step)
        self._verify(folder, step)
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        return Checkpoint(step, read_tensors(folder / WEIGHTS), read_tensors(folder / STATE), meta)

    def steps(self) -> list[int]:
        """Return the steps that have a checkpoint, in order."""
        if not self.folder.is_dir():
            return []
        atomic.recover(self.folder)
        return sorted(int(p.name) for p in self.folder.iterdir() if p.name.isdecimal() and p.is_dir())

    def _save(
        self, step: int, weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor], meta: Any, best: Path | None
    ) -> None:
        with atomic.new_folder(self.folder / str(step)) as folder:
            with ThreadPoolExecutor(1) as pool:  # writing, syncing and hashing leave Python's lock
                written = pool.submit(tensor_file.write, folder / WEIGHTS, weights)
                digests = {STATE: tensor_file.write(folder / STATE, tensors)}
                digests[WEIGHTS] = written.result()
            text = atomic.as_json(meta)
            (folder / META).write_bytes(text)
            digests[META] = hashlib.sha256(text).hexdigest()
            if best is not None and best.is_file():
                atomic.link(best, folder / BEST)
            files = {name: {"size": (folder / name).stat().st_size, "sha256": digests[name]} for name in FILES}
            (folder / MANIFEST).write_bytes(atomic.as_json({"step": step, "files": files}))

    def _prune(self) -> None:
        atomic.clean(self.folder)
        for stale in self.folder.glob(f".*{atomic.FORMER}"):
            shutil.rmtree(stale, ignore_errors=True)
        for step in self.steps()[: -self.keep_last]:
            folder = self.folder / str(step)
            (folder / MANIFEST).unlink(missing_ok=True)  # first, so that half a checkpoint never passes for a whole one
            shutil.rmtree(folder, ignore_errors=True)

    def _verify(self, folder: Path, step: int) -> None:
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            written, files = manifest["step"], {name: manifest["files"][name]["sha256"] for name in FILES}
        except FileNotFoundError as error:
            raise UserError(f"{folder}: no {MANIFEST}: the checkpoint is incomplete") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{folder / MANIFEST}: damaged: {error}") from error
        if written != step:
            raise UserError(f"{folder / MANIFEST}: of step {written}, not {step}")
        for name, expected in files.items():
            if not (folder / name).is_file() or atomic.digest(folder / name) != expected:
                raise UserError(f"{folder / name}: damaged or missing")
