"""The published weights of a run, best.safetensors and last.safetensors, and their agreement with a checkpoint.

They are written after the checkpoint that they belong to, so a kill may leave older or newer ones. `last` is compared
with the state, `best` by its digest, which each checkpoint records, with a copy in the checkpoint to take it from.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from densepred import atomic
from densepred.errors import UserError
from densepred.rundir.log import Log
from densepred.rundir.state import TrainState
from densepred.weights.file import read_tensors, save_weights
from densepred.weights.header import SUFFIX, read_header


class BestAndLast:
    """Published weights in the folder of a run; `best` is step and digest of the best ones, None without any."""

    def __init__(self, folder: Path, log: Log) -> None:
        self.folder, self.log = folder, log
        self.best: dict[str, Any] | None = None
        self.copy: Path | None = None
        self.in_doubt = False  # after a resume, until the first validation

    def file(self, name: str) -> Path:
        return self.folder / f"{name}{SUFFIX}"

    def step(self, name: str) -> int | None:
        """Return the step of a file, None if there is none that can be read."""
        try:
            found = read_header(self.file(name)).get("step")
        except UserError:
            return None
        return found if isinstance(found, int) else None

    def write(self, name: str, weights: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
        """Write a file, unless it is there already: a resumed run validates once more. Raises OSError."""
        path = self.file(name)
        if not self.in_doubt or not _same(path, weights, header):
            save_weights(path, weights, header)
        if name == "best":
            self.best, self.in_doubt = {"step": header["step"], "sha256": atomic.digest(path)}, False

    def holds(self, name: str, weights: Mapping[str, Tensor], step: int) -> bool:
        """Return True if the file holds these weights, of this step."""
        return _same(self.file(name), weights, {"step": step})

    def reopen(self, best: object, copy: Path) -> None:
        """Take over what a checkpoint recorded: step and digest of the best weights, and its copy of them."""
        self.best, self.copy = (best if isinstance(best, dict) and "sha256" in best else None), copy
        self.in_doubt = True

    def settle(self, state: TrainState) -> None:
        """Let best.safetensors be what the counters tell; warn if these weights are lost."""
        path, wanted, self.in_doubt = self.file("best"), state.progress.best.get("step"), False
        if wanted is None:  # the next validation writes it
            self.best = None
            return
        recorded = self.best
        if recorded is None:  # a run from before digests were recorded
            if self.step("best") == wanted:
                self.best = {"step": wanted, "sha256": atomic.digest(path)}
                return
        elif _digest(path) == recorded["sha256"]:
            return
        elif self.copy is not None and _digest(self.copy) == recorded["sha256"]:
            copy = self.copy
            atomic.replace(path, lambda temporary: atomic.link(copy, temporary))
            self.log.say(f"{path} was not of step {wanted}, the best so far; it is taken from the checkpoint")
            return
        self.log.warn(
            f"{path}: the best weights so far, of step {wanted}, are lost or damaged; the file is written again when a "
            f"validation is better; until then use last{SUFFIX}"
        )


def _same(path: Path, weights: Mapping[str, Tensor], header: Mapping[str, Any]) -> bool:
    try:
        described = read_header(path)
        if any(described.get(key) != header[key] for key in ("step", "metrics") if key in header):
            return False
        found = read_tensors(path)
    except UserError:
        return False
    return found.keys() == weights.keys() and all(
        found[name].dtype == value.dtype and torch.equal(found[name], value.detach().cpu())
        for name, value in weights.items()
    )


def _digest(path: Path) -> str | None:
    return atomic.digest(path) if path.is_file() else None
