"""`trainer.devices=N`: start N processes with torch's elastic launcher."""

from __future__ import annotations

import functools
import logging
import signal
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, record
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from densepred.errors import UserError

STOPPED = 75


def launch(function: Callable[[Any], int], job: Any, processes: int, restarts: int) -> int:
    """Call `function(job)` in `processes` processes; return the exit code.

    If one dies all end, and start again at most `restarts` times.
    """
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # failures arrive as exceptions
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=restarts,
        monitor_interval=0.5,
        start_method="spawn",
    )
    try:
        return max(elastic_launch(config, _Reporting(function))(job).values())
    except SignalException as stopped:
        # The processes received the signal too, and had half a minute to save.
        print(f"stopped by {signal.Signals(stopped.sigval).name}; resume with trainer.resume={job.folder}", flush=True)
        return STOPPED
    except ChildFailedError as failed:
        rank, failure = failed.get_first_failure()
        report: Any = failure.message  # annotated as str; for an exception it is a mapping
        report = str(report["message"] if isinstance(report, dict) else report)
        kind, _, message = report.partition(": ")
        if kind == UserError.__name__:
            raise UserError(message) from failed
        raise RuntimeError(f"process {rank} ended with exit code {failure.exitcode}: {report}") from failed


class _Reporting:
    """A function that reports its exception's message to the launcher; a class, so that it can be pickled."""

    def __init__(self, function: Callable[[Any], int]) -> None:
        self.function = function
        functools.update_wrapper(self, function)  # the launcher reads its names

    def __call__(self, job: Any) -> int:
        code = record(self.function)(job)
        assert code is not None
        return code
