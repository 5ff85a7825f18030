"""The folder of a run: its checkpoints, published weights and summary, and resuming from it."""

from __future__ import annotations

import json
import resource
import statistics
import sys
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from densepred import distributed
from densepred.atomic import write_json
from densepred.build import renamed
from densepred.errors import UserError
from densepred.rundir import provenance, schema, variables
from densepred.rundir.best_and_last import BestAndLast
from densepred.rundir.changes import completed, differences, refuse_changes, rescale, rounded
from densepred.rundir.checkpoints import BEST, META, Checkpoint, Checkpoints
from densepred.rundir.free import OF_ONE_START
from densepred.rundir.lock import Lock
from densepred.rundir.log import Log
from densepred.rundir.losses import Losses
from densepred.rundir.provenance import flatten
from densepred.rundir.state import TrainState
from densepred.rundir.writer import Copies, Writer
from densepred.weights.header import SUFFIX, read_header


class Run:
    """Checkpoints and summaries of one run. Only the main process writes; every process reads."""

    def __init__(
        self,
        folder: Path,
        header: Mapping[str, Any],
        config: Mapping[str, Any],
        log: Log,
        keep: int,
        lock: Lock | None = None,
        overrides: Sequence[str] = (),
        behind: Mapping[str, Any] | None = None,
    ) -> None:
        """`behind` holds the values of environment variables, see `variables.behind`."""
        self.behind = dict(behind or {})
        self.variables = variables.record(self.behind)
        self.folder, self.header, self.log, self.lock = folder, dict(header), log, lock
        self.written, self.overrides = config, provenance.of_run(overrides)
        self.config, self.published = flatten(config), BestAndLast(folder, log)
        self.losses, self.writer = Losses(folder, log.warn), Writer()
        self.checkpoints = Checkpoints(folder / "checkpoints", keep, warn=log.warn)

    def save(self, state: TrainState) -> None:
        """Write a checkpoint, then `last.safetensors`, from copies, while training goes on. See `wait`.

        A full disk does not end the run. Every process calls this, for tensors that are divided over them.
        """
        self.wait()  # before further copies
        parts, copies = state.state_dict(), Copies()
        weights, tensors = copies.of(parts["weights"]), copies.of(parts["tensors"])
        published = weights if state.average is None else copies.of(state.eval_model.state_dict())
        if not distributed.is_main():
            return
        self.losses.require_folder()
        if self.lock is not None:
            self.lock.require()
        step, header = state.progress.step, self._described("last", state)
        fact = f"step {step}: no checkpoint written in {self.folder}"
        with self.losses.writing("checkpoint", fact):
            position = self.log.position()
        if "checkpoint" in self.losses.lost:
            return
        meta = {
            **deepcopy(parts["meta"]),  # its counters go on
            "config": self.config,
            "overrides": self.overrides,
            variables.PART: self.variables,
            "environment": numerics(),
            "files": position,
            "info": self.header.get("info"),
        }

        def write() -> None:
            with self.losses.writing("checkpoint", fact):
                self.log.sync(position)
                meta["digests"] = self.log.digests(position)
                meta["published"] = {"best": self.published.best}
                self.checkpoints.save(step, weights, tensors, meta, self.published.file("best"))
            if "checkpoint" not in self.losses.lost:
                self._publish("last", published, header)

        self.writer.submit(write)

    def publish(self, name: str, state: TrainState) -> None:
        """Write `name`.safetensors, weights with their description, for eval, predict and fine-tuning. See `wait`.

        Every process calls this, as `save`.
        """
        weights = Copies().of(state.eval_model.state_dict())
        if not distributed.is_main():
            return
        header = self._described(name, state)
        self.writer.submit(lambda: self._publish(name, weights, header))

    def wait(self) -> None:
        """Wait until everything that was to be saved or published is on the disk, or was warned of.

        Raises UserError if the folder is gone.
        """
        self.writer.wait()

    def _described(self, name: str, state: TrainState) -> dict[str, Any]:
        progress = state.progress
        return {**self.header, "step": progress.step, "metrics": dict(progress.last) if name == "best" else {}}

    def _publish(self, name: str, weights: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
        path = self.folder / f"{name}{SUFFIX}"
        with self.losses.writing(path.name, f"{path} could not be written"):
            self.published.write(name, weights, header)

    def require_written(self) -> None:
        """Raise MachineError if a result of the run could not be written."""
        self.wait()
        self.losses.require_none(self.log.waiting())

    def restore(self, state: TrainState, allow: Sequence[str]) -> None:
        """Continue from the newest complete checkpoint, or from the start where there is none.

        Raises UserError if a setting changed that `allow` does not name, if the checkpoint lacks a part of the state,
        or if all are damaged.
        """
        found = self.checkpoints.newest()
        if found is None:
            self._start_again()
            return
        changed = self._changed(found, allow)
        try:
            state_ = {"weights": found.weights, "tensors": found.tensors, "meta": found.meta}
            notes = state.load_state_dict(state_, changed)
            self.log.check(found.meta["files"], found.meta.get("digests", {}))
        except UserError as error:
            raise self._incomplete(found.step, error) from error
        for name, (then, now) in differences(found.meta["environment"], numerics()).items():
            self.log.warn(f"{name} was {then} and is {now}: the rest of the run may differ in the last digits")
        self.log.rewind(found.meta["files"])
        state.meter.speeds = self.log.speeds()
        self.log.say(f"resuming at step {state.progress.step}, epoch {state.progress.epoch}")
        for note in [*notes, *rescale(state.progress, changed), *rounded(changed)]:
            self.log.warn(note)
        self._republish(state, found, bool(changed))
        self._remember(state, changed)

    def settle_best(self, state: TrainState) -> None:
        """Bring best.safetensors back to the counters, if the first validation after a resume was no better."""
        self.wait()
        if distributed.is_main() and self.published.in_doubt:
            self.published.settle(state)

    def _start_again(self) -> None:
        if self.published.file("last").is_file():
            raise UserError(
                f"{self.folder}: has last.safetensors and no checkpoint to go on from; put {self.checkpoints.folder} "
                f"back, or start a new run from these weights by weights.init={self.folder}"
            )
        self.log.say(f"no complete checkpoint in {self.folder}; starting at step 0")
        self.log.rewind({})

    def _changed(self, found: Checkpoint, allow: Sequence[str]) -> dict[str, tuple[Any, Any]]:
        """Return (then, now) of each setting that changed; raise UserError for those that `allow` does not name."""
        try:
            schema.check_meta(found.meta)
        except UserError as error:
            raise self._incomplete(found.step, error) from error
        then = completed(renamed.flat(found.meta["config"]), self.config)
        refuse_changes(then, self.config, allow)
        for fact in variables.unrecorded(found.meta, self.behind):
            self.log.warn(fact)
        return {**differences(then, self.config), **variables.changes(found.meta, self.behind, self.config, allow)}

    def _incomplete(self, step: int, error: UserError) -> UserError:
        older = [one for one in self.checkpoints.steps() if one < step]
        remedy = (
            f"remove this folder to go on from {self.checkpoints.folder / str(older[-1])}"
            if older
            else f"start a new run, from its weights by weights.init={self.folder}"
        )
        return UserError(f"{self.checkpoints.folder / str(step)}: {error}; {remedy}")

    def _republish(self, state: TrainState, found: Checkpoint, changed: bool) -> None:
        """Write the published weights again where they are not those of this checkpoint, as after a kill."""
        weights = Copies().of(state.eval_model.state_dict())
        if not distributed.is_main():
            return
        if not self.published.holds("last", weights, state.progress.step):
            self.log.say(f"{self.published.file('last')} was not of step {state.progress.step}; it is written again")
            self._publish("last", weights, self._described("last", state))
        published = found.meta.get("published") or {}
        self.published.reopen(published.get("best"), self.checkpoints.folder / str(found.step) / BEST)
        if changed or not (
            state.progress.due and self.published.step("best") == state.progress.step
        ):  # else validated again
            self.published.settle(state)

    def _remember(self, state: TrainState, changed: Mapping[str, tuple[Any, Any]]) -> None:
        """Record what was typed now, and accepted: the next resume goes on with it."""
        kept = {key: values for key, values in changed.items() if not key.startswith(OF_ONE_START)}
        if not kept:
            return
        self.save(state)
        if distributed.is_main() and provenance.exists(self.folder):
            provenance.write(self.folder, self.written, self.overrides)

    def summarise(self, state: TrainState, diagnostics: Mapping[str, float | None] | None = None) -> None:
        """Write summary.json; `diagnostics` are the scores of `trainer.probes`."""
        if not distributed.is_main():
            return
        progress, speeds = state.progress, state.meter.speeds
        self._write_summary(
            {
                "monitor": progress.monitor,
                "mode": progress.mode,
                "best": progress.best,
                "last": progress.last,
                "parameters": sum(p.numel() for p in state.model.parameters()),
                "seconds": round(progress.seconds, 1),
                "images_per_second": round(statistics.median(speeds), 2) if speeds else None,
                "peak_memory_mb": max(self._former_peak(), round(peak_memory_mb(state.device))),
                "device": numerics()["device"],
                **({"probe": dict(diagnostics)} if diagnostics is not None else {}),
            },
        )

    def _former_peak(self) -> int:
        """Return the peak memory that the summary of this folder has: a run that goes on may need less of it."""
        try:
            found = json.loads((self.folder / "summary.json").read_text(encoding="utf-8")).get("peak_memory_mb")
        except (OSError, ValueError, AttributeError):
            return 0
        return found if isinstance(found, int) else 0

    def _write_summary(self, values: Mapping[str, Any]) -> None:
        path = self.folder / "summary.json"
        with self.losses.writing(path.name, f"{path} could not be written"):
            write_json(path, values)


def begun_info(folder: Path) -> dict[str, Any] | None:
    """Return the description of the data that a run began with, to go on with the same classes in the same order.

    It is read from the newest checkpoint, else from published weights. None without a checkpoint: the run starts anew.
    Raises UserError if there is a checkpoint and neither tells it.
    """
    checkpoints = Checkpoints(folder / "checkpoints")
    steps = checkpoints.steps()
    for step in reversed(steps):
        try:
            info = json.loads((checkpoints.folder / str(step) / META).read_text(encoding="utf-8")).get("info")
        except (OSError, ValueError, AttributeError):
            continue
        if isinstance(info, dict):
            return info
    for name in ("last", "best"):
        file = folder / f"{name}{SUFFIX}"
        if file.is_file():
            return read_header(file)["info"]
    if steps:
        raise UserError(
            f"{folder}: neither its checkpoints nor last{SUFFIX} or best{SUFFIX} tell the order of classes with which "
            f"the run began; put one of these files back, or start a new run"
        )
    return None


def numerics() -> dict[str, Any]:
    """Return what bit-exact resuming depends on besides the state."""
    device = distributed.device()
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "processes": distributed.world(),
        "python": sys.version.split()[0],
    }


def peak_memory_mb(device: torch.device) -> float:
    """Peak memory in MiB: the accelerator's, or on the CPU the resident memory of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
