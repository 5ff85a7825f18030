"""The folder of a run: what is written into it, and how a run finds its way back from it."""

from __future__ import annotations

import json
import resource
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from densepred import distributed
from densepred.atomic import write_json
from densepred.build import renamed
from densepred.contracts import Model
from densepred.errors import UserError
from densepred.rundir.checkpoints import Snapshots
from densepred.rundir.log import Log
from densepred.rundir.progress import Meter, Progress
from densepred.rundir.provenance import flatten
from densepred.weights.file import save_weights

FREE = ("trainer.resume", "trainer.allow", "trainer.keep_last", "trainer.save_every", "trainer.max_restarts")
FREE += ("data.workers", "data.timeout_s", "trainer.threads", "trainer.devices", "trainer.probes", "sweep")
"""Settings that may change between the parts of a run: they do not change what it computes, or a warning says so."""


class Fitted(Protocol):
    """Whatever trains or solves a model, as far as its published files and its summary ask."""

    progress: Progress
    meter: Meter
    device: torch.device
    model: Model

    @property
    def eval_model(self) -> Model: ...


class Run:
    """Checkpoints and summaries of one run. Only the main process writes; every process reads."""

    def __init__(self, folder: Path, header: Mapping[str, Any], config: Mapping[str, Any], log: Log, keep: int) -> None:
        self.folder, self.header, self.log = folder, dict(header), log
        self.config = flatten(config)
        self.snapshots = Snapshots(folder / "checkpoints", keep, warn=log.warn)

    def save(self, trainer: Any) -> None:
        """Write a checkpoint of everything that the rest of the run depends on. A full disk does not end the run."""
        if not distributed.is_main():
            return
        tensors, meta = pack(trainer)
        meta |= {"config": self.config, "environment": environment(), "files": self.log.position()}
        try:
            self.snapshots.save(trainer.progress.step, trainer.model.state_dict(), tensors, meta)
        except OSError as error:
            self.log.warn(
                f"step {trainer.progress.step}: no checkpoint written in {self.folder}: {error}; free some space"
            )
            return
        self.publish("last", trainer)

    def publish(self, name: str, trainer: Fitted) -> None:
        """Write `name`.safetensors, weights that stand by themselves: eval, predict and fine-tuning open them."""
        if not distributed.is_main():
            return
        progress = trainer.progress
        header = {**self.header, "step": progress.step, "metrics": progress.last if name == "best" else {}}
        try:
            save_weights(self.folder / f"{name}.safetensors", trainer.eval_model.state_dict(), header)
        except OSError as error:
            self.log.warn(f"{self.folder / name}.safetensors could not be written: {error}; free some space")

    def restore(self, trainer: Any) -> None:
        """Continue from the newest complete checkpoint, or from the start where there is none."""
        found = self.snapshots.newest()
        if found is None:
            self.log.say(f"no complete checkpoint in {self.folder}; starting at step 0")
            self.log.rewind({})
            return
        refuse_changes(renamed.flat(found.meta["config"]), self.config, trainer.settings.allow)
        for name, (then, now) in differences(found.meta["environment"], environment()).items():
            self.log.warn(f"{name} was {then} and is {now}: the rest of the run may differ in the last digits")
        trainer.model.load_state_dict(found.weights)
        unpack(trainer, found.state, found.meta)
        self.log.rewind(found.meta["files"])
        self.log.say(f"resuming at step {trainer.progress.step}, epoch {trainer.progress.epoch}")

    def summarise(self, trainer: Fitted, probe: Mapping[str, float | None] | None = None) -> None:
        if not distributed.is_main():
            return
        speeds = trainer.meter.speeds
        write_json(
            self.folder / "summary.json",
            {
                "monitor": trainer.progress.monitor,
                "best": trainer.progress.best,
                "last": trainer.progress.last,
                "parameters": sum(p.numel() for p in trainer.model.parameters()),
                "seconds": round(trainer.progress.seconds, 1),
                "images_per_second": round(statistics.median(speeds), 2) if speeds else None,
                "peak_memory_mb": round(peak_memory_mb(trainer.device)),
                **({"probe": dict(probe)} if probe is not None else {}),
            },
        )


def pack(trainer: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state of a trainer beyond its weights, as named tensors and JSON."""
    tensors: dict[str, Tensor] = {}
    state = trainer.optimizer.state_dict()
    for index, slots in state["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in slots.items() if isinstance(value, Tensor)}
    if trainer.average is not None:
        tensors |= {f"average.{name}": value for name, value in trainer.average.state_dict().items()}
    sums, counts = trainer.meter.state()
    tensors |= {f"meter.{name}": value for name, value in sums.items()}
    meta = {"progress": trainer.progress.to_json(), "meter": counts, "scaler": trainer.precision.scaler.state_dict()}
    return tensors, meta


def unpack(trainer: Any, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """The inverse of `pack`."""
    if missing := {"progress", "meter", "scaler"} - set(meta):
        raise UserError(f"the checkpoint lacks {', '.join(sorted(missing))}; resume from an older one")
    state = trainer.optimizer.state_dict()
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in part(tensors, "optimizer.").items():
        index, _, key = name.partition(".")
        slots.setdefault(int(index), {})[key] = value
    trainer.optimizer.load_state_dict({"state": slots, "param_groups": state["param_groups"]})
    if trainer.average is not None:
        trainer.average.load_state_dict(part(tensors, "average."))
    trainer.meter.restore({k: v.to(trainer.device) for k, v in part(tensors, "meter.").items()}, meta["meter"])
    trainer.precision.scaler.load_state_dict(meta["scaler"])
    trainer.progress.restore(meta["progress"])


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def environment() -> dict[str, Any]:
    """What bit-exact resuming depends on besides the state."""
    device = distributed.device()
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "processes": distributed.world(),
        "python": sys.version.split()[0],
    }


def refuse_changes(then: Mapping[str, Any], now: Mapping[str, Any], allowed: list[str]) -> None:
    """A run is resumed with the settings that it began with, but for those that `allowed` names."""
    changed = {
        key: values
        for key, values in differences(then, now).items()
        if not any(key == name or key.startswith(f"{name}.") for name in [*FREE, *allowed])
    }
    for key, (before, after) in changed.items():
        raise UserError(
            f"{key}: the run began with {json.dumps(before)} and would go on with {json.dumps(after)}; leave it out, "
            f"or add trainer.allow=[{','.join(changed)}] if you mean it"
        )


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    keys = [*then, *(key for key in now if key not in then)]
    return {key: (then.get(key), now.get(key)) for key in keys if then.get(key) != now.get(key)}


def peak_memory_mb(device: torch.device) -> float:
    """The most memory that the accelerator held, or on the CPU the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
