"""`trainer.devices=N`: N processes on this machine, started again if one of them dies."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch

from densepred.errors import MachineError, Notice, UserError
from densepred.jobs.attempt import STOPPED, Attempt, failure
from densepred.process import processors, ranks, supervisor
from densepred.process.stop import StopFlag, Stopped

PATIENCE = 30.0
"""The longest time that a halted process may hold up the others, in seconds; `data.timeout_s` if that is shorter."""


def require_machine(devices: int, key: str) -> None:
    """Raise UserError if this machine has fewer accelerators than `devices`, the setting `key`.

    A notice tells of more processes than processors where there is no accelerator.
    """
    accelerators = torch.accelerator.device_count() if torch.accelerator.is_available() else 0
    if (remark := ranks.check(devices, key, accelerators, processors.count())) is not None:
        warnings.warn(remark, Notice, stacklevel=2)


def launch(
    function: Callable[[Any], int], job: Any, processes: int, restarts: int, timeout_s: float, go_on: str
) -> int:
    """Call `function(job)` in `processes` processes; return the exit code.

    If one dies all end, and start again at most `restarts` times; mistakes of the user are not tried again. `go_on`
    tells in messages how to continue. Raises Stopped after a signal if no process could tell that it can be resumed.
    """
    supervisor.expect(timeout_s)
    supervisor.go_on(go_on)
    with StopFlag() as stop:
        for number in range(restarts + 1):
            attempt = Attempt(function, job, processes, number, min(timeout_s, PATIENCE))
            stop.at_once = attempt.kill
            try:
                outcomes = attempt.watch(stop)
            finally:
                attempt.close()
            error = failure(outcomes, processes, list(attempt.outcomes), go_on)
            if any(outcome.code == STOPPED for outcome in outcomes) and (stop.raised or error is None):
                if error is not None:
                    print(f"warning: {error}", file=sys.stderr, flush=True)
                return STOPPED
            if stop.raised:
                raise Stopped
            if error is None:
                return max(outcome.code for outcome in outcomes)
            if number == restarts or (isinstance(error, UserError) and not isinstance(error, MachineError)):
                raise error
            text = f"warning: {error}; all start again from the last checkpoint ({number + 1} of {restarts})"
            print(text.replace(f"; {go_on}", ""), file=sys.stderr, flush=True)
    raise AssertionError("every attempt returns or raises")
