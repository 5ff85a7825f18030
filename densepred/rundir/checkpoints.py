"""Checkpoints to resume from: all that the rest of a run depends on, in one folder per step.

A folder gets its name only when its files have reached the disk, and its manifest holds the digest of each. So a
checkpoint is either complete or recognised as damaged, whenever the process or the machine stops.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from densepred import atomic
from densepred.errors import UserError
from densepred.weights.file import read_tensors, write_tensors

WEIGHTS, STATE, META, MANIFEST = "weights.safetensors", "state.safetensors", "state.json", "manifest.json"
FILES = (WEIGHTS, STATE, META)


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
        self, step: int, weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor], meta: Mapping[str, Any]
    ) -> None:
        """Write a checkpoint, then remove the oldest. An OSError leaves the others as they were."""
        try:
            self._save(step, weights, tensors, meta)
        except OSError as error:
            size = sum(value.numel() * value.element_size() for value in (*weights.values(), *tensors.values()))
            free = shutil.disk_usage(self.folder if self.folder.is_dir() else Path()).free
            reason = f"{error.strerror or error} ({size} bytes to write, {free} free)"
            raise OSError(error.errno, reason, str(self.folder)) from error
        self._prune()

    def newest(self) -> Checkpoint | None:
        """Return the newest complete checkpoint; `warn` names damaged ones, which are skipped."""
        return next((found for step in reversed(self.steps()) if (found := self._try(step)) is not None), None)

    def _try(self, step: int) -> Checkpoint | None:
        try:
            return self.load(step)
        except UserError as error:
            self.warn(f"{error}; an older one is tried")
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

    def _save(self, step: int, weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor], meta: Any) -> None:
        atomic.fault("checkpoint:begin")
        with atomic.new_folder(self.folder / str(step), "checkpoint") as folder:
            atomic.fault("checkpoint:made")
            write_tensors(folder / WEIGHTS, weights)
            atomic.fault("checkpoint:weights")
            write_tensors(folder / STATE, tensors)
            atomic.fault("checkpoint:state")
            atomic.write_json(folder / META, meta)
            atomic.fault("checkpoint:meta")
            files = {
                name: {"size": (folder / name).stat().st_size, "sha256": atomic.digest(folder / name)} for name in FILES
            }
            atomic.write_json(folder / MANIFEST, {"step": step, "files": files})
            atomic.fault("checkpoint:manifest")

    def _prune(self) -> None:
        for stale in (*self.folder.glob(".*.tmp"), *self.folder.glob(f".*{atomic.FORMER}")):
            shutil.rmtree(stale, ignore_errors=True)
        for step in self.steps()[: -self.keep_last]:
            folder = self.folder / str(step)
            (folder / MANIFEST).unlink(missing_ok=True)  # first, so that half a checkpoint never passes for a whole one
            atomic.fault("checkpoint:pruning")
            shutil.rmtree(folder, ignore_errors=True)
        atomic.fault("checkpoint:pruned")

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
