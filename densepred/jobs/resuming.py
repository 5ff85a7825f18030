"""Going on with a run: whether it does, from a folder that every process sees, and what to type."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from densepred import distributed
from densepred.errors import MachineError, UserError
from densepred.home import from_here, typed
from densepred.jobs.printed_summary import to_type
from densepred.process import supervisor
from densepred.process.stop import SAVING, STOPPED
from densepred.rundir import console, provenance
from densepred.rundir.checkpoints import Checkpoints
from densepred.rundir.log import Log
from densepred.settings import TrainSettings

AUTO = "auto"


def command(folder: Path) -> str:
    """Return the command that continues a run."""
    return to_type("densepred-train", typed("trainer.resume", from_here(folder)))


def tell_supervisor(folder: Path) -> None:
    """Tell the process that may have to explain the end of this one how to go on."""
    supervisor.go_on(f"resume with: {command(folder)}")


def explained(reason: MachineError, folder: Path) -> MachineError:
    """Return a failure of the machine with the way to go on, unless it tells it or there is nothing to go on with."""
    again = f"resume with: {command(folder)}"
    if again in str(reason) or not provenance.exists(folder):
        return reason
    return type(reason)(f"{reason}; {again}")


def stopped(folder: Path, written: Mapping[str, Any], overrides: Sequence[str], log: Log) -> int:
    """Leave a record if the run was stopped before it had one, and tell how to go on; return the exit code."""
    if distributed.is_main() and not provenance.exists(folder):
        provenance.write(folder, written, overrides)
    if distributed.is_main():
        console.after_interrupt()
    steps = Checkpoints(folder / "checkpoints").steps()
    log.say(f"stopped{f' at step {steps[-1]}' if steps else ' before the first step'}; resume with: {command(folder)}")
    distributed.wait_for_first(SAVING)
    return STOPPED


def resumes(wanted: str | None, folder: Path) -> bool:
    """Return True if a run with `trainer.resume=wanted` goes on; rank 0 decides for all.

    It does if a run is named, if `auto` finds one that has begun, and if the launcher has started the processes again.
    Raises UserError if another host does not see the checkpoints that rank 0 sees.
    """
    again = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) > 0
    begun = wanted == AUTO and (provenance.exists(folder) or (folder / "checkpoints").is_dir())
    found = distributed.share(again or begun or wanted not in (None, AUTO))
    if found:
        _require_shared(folder)
    return found


def _require_shared(folder: Path) -> None:
    steps = Checkpoints(folder / "checkpoints").steps() if folder.is_dir() else None
    everyone = distributed.gather((platform.node(), steps))
    first = everyone[0]
    if blind := sorted({host for host, found in everyone if found != first[1]}):
        raise UserError(
            f"{folder}: {', '.join(blind)} does not see the checkpoints that {first[0]} sees; put the run on a disk "
            "that all nodes share"
        )


def from_checkpoint(folder: Path) -> int | None:
    """Return the step of the newest checkpoint of a run that goes on, None if it has none and begins anew."""
    return next(reversed(Checkpoints(folder / "checkpoints").steps()), None)


def not_read(settings: TrainSettings, step: int) -> list[str]:
    """Return a line about the files of weights that a run began with, which its checkpoint replaces."""
    named = [f"weights.{key}={source}" for key, source in vars(settings.weights).items() if source]
    named += [f"{key.removeprefix('model.')}=true" for key in _pretrained(settings.model, "model")]
    return [f"{', '.join(named)}: not read, the checkpoint of step {step} has the weights"] if named else []


def _pretrained(node: Any, at: str) -> Iterator[str]:
    """Yield the keys below a node that ask for published weights."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "pretrained" and value:
                yield f"{at}.{key}"
            else:
                yield from _pretrained(value, f"{at}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _pretrained(value, f"{at}[{index}]")
