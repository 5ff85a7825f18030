"""One attempt of a run of several processes: start them, watch them, end them.

An attempt has a rendezvous of its own, a store in this process. So nothing of a former attempt can reach it.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from torch._C._distributed_c10d import TCPStore

from densepred.errors import MachineError, PeerLost, UserError, classed
from densepred.process import control_group, exits
from densepred.process.parent import PARENT
from densepred.process.stop import SAVING, STOPPED, StopFlag, Stopped

LOOPBACK = "127.0.0.1"
EVERY = 0.2
"""Seconds between two looks at the processes."""

FAREWELL = 10.0
"""Seconds that processes have to end by themselves after another has failed."""

KINDS = ("user", "bug", "died", "stalled", "machine", "lost")
"""Failures, the one that explains the others first."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one process: its exit code (kind "code"), or a failure with its sentence and its traceback."""

    kind: str
    code: int = 0
    text: str = ""
    trace: str = ""


class Attempt:
    """The processes of one attempt. `number` counts the attempts of a run from 0."""

    def __init__(self, function: Callable[[Any], int], job: Any, processes: int, number: int, patience: float) -> None:
        self.count, self.patience, self.kills = processes, patience, control_group.memory_kills()
        store = TCPStore(LOOPBACK, 0, is_master=True, wait_for_workers=False)
        self.store: TCPStore | None = store
        self.outcomes: dict[int, Outcome] = {}  # in the order in which the processes ended
        self.processes, self.pipes = [], list[Connection]()
        self._halted: dict[int, float] = {}
        context = multiprocessing.get_context("spawn")
        former = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: Ctrl-C comes before they have handlers
        os.environ["PYTHONWARNINGS"] = _quiet(os.environ.get("PYTHONWARNINGS"))
        try:
            for rank in range(processes):
                mine, theirs = context.Pipe(duplex=False)
                arguments = (function, job, self._place(rank, number, store.port), theirs)
                process = context.Process(target=_rank, args=arguments, name=f"process {rank}")
                process.start()
                theirs.close()
                self.processes.append(process)
                self.pipes.append(mine)
        except BaseException:
            self.close()
            raise
        finally:
            signal.signal(signal.SIGINT, former)

    def _place(self, rank: int, number: int, port: int) -> dict[str, str]:
        """Return the variables of torchrun for a rank; its store is the one of this process."""
        place = {
            "RANK": rank,
            "LOCAL_RANK": rank,
            "WORLD_SIZE": self.count,
            "LOCAL_WORLD_SIZE": self.count,
            "MASTER_ADDR": LOOPBACK,
            "MASTER_PORT": port,
            "TORCHELASTIC_USE_AGENT_STORE": True,
            "TORCHELASTIC_RESTART_COUNT": number,
            PARENT: os.getpid(),
        }
        if Path("/sys/class/net/lo").exists():  # the host's name may lead to an address that nothing can reach
            place["GLOO_SOCKET_IFNAME"] = os.environ.get("GLOO_SOCKET_IFNAME", "lo")
        return {name: str(value) for name, value in place.items()}

    def watch(self, stop: StopFlag) -> list[Outcome]:
        """Wait until all processes have ended; return their ends, in this order.

        A request to stop is passed on. After a failure the others have FAREWELL seconds, after a stop SAVING seconds. A
        process that stays halted (SIGSTOP) for `patience` seconds is a failure.
        """
        asked, end, stopped = False, None, None
        while alive := [rank for rank in range(self.count) if rank not in self.outcomes]:
            wait([self.processes[rank].sentinel for rank in alive], timeout=EVERY)
            for rank in alive:
                self._look(rank)
            if stop.raised and not asked:
                asked = True
                self.ask()
            ends = [outcome.kind if outcome.kind != "code" else outcome.code for outcome in self.outcomes.values()]
            if stopped is None and STOPPED in ends:
                stopped = time.monotonic() + SAVING
            if end is None and any(one not in (0, STOPPED) for one in ends):
                end = time.monotonic() + FAREWELL
            if time.monotonic() > min(end or math.inf, stopped or math.inf):
                self._give_up()
        return list(self.outcomes.values())

    def ask(self) -> None:
        """Ask every process to save and stop. SIGUSR1 may come twice; SIGTERM of a process group would end at once."""
        for process in self.processes:
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, signal.SIGUSR1)

    def kill(self) -> None:
        for process in self.processes:
            if process.is_alive():
                process.kill()

    def close(self) -> None:
        """End the processes and the store: later forks of this process would crash where they collect its threads."""
        self.kill()
        self.store = None

    def _give_up(self) -> None:
        """Kill the processes that are left: they end because of another."""
        for rank, process in enumerate(self.processes):
            if rank not in self.outcomes:
                process.kill()
                self.outcomes[rank] = Outcome("lost", text=f"process {rank} of {self.count} did not end by itself")

    def _look(self, rank: int) -> None:
        """Note the end of a process."""
        process, pipe = self.processes[rank], self.pipes[rank]
        ended = not process.is_alive()  # before the look into the pipe, so that its last word is heard
        try:
            if pipe.poll():
                outcome = pipe.recv()
                process.join(FAREWELL)
                self.outcomes[rank] = outcome
                return
        except (EOFError, OSError):
            pass
        if ended:
            self.outcomes[rank] = Outcome("died", text=_cause(process.exitcode or 0, self.kills))
        elif self._halts(rank):
            process.kill()
            text = f"was halted (SIGSTOP) for {self.patience:g} seconds while the others waited for it"
            self.outcomes[rank] = Outcome("stalled", text=text)

    def _halts(self, rank: int) -> bool:
        """Return True if a process has been halted for `patience` seconds; never where there is no /proc."""
        try:
            stat = Path(f"/proc/{self.processes[rank].pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        if stat.rpartition(")")[2].split()[0] != "T":
            self._halted.pop(rank, None)
            return False
        return time.monotonic() - self._halted.setdefault(rank, time.monotonic()) >= self.patience


def failure(outcomes: list[Outcome], count: int, ranks: list[int], go_on: str) -> Exception | None:
    """Return the failure that explains the others as an exception, or None; `ranks` belong to the outcomes."""
    failed = [pair for pair in zip(ranks, outcomes, strict=True) if pair[1].kind != "code"]
    if not failed:
        return None
    rank, first = min(failed, key=lambda pair: KINDS.index(pair[1].kind))
    if first.kind == "user":
        return UserError(first.text)
    if first.kind == "bug":
        error = RuntimeError(f"process {rank} of {count}: {first.text}")
        error.add_note(first.trace)
        return error
    if first.kind in ("died", "stalled"):
        return MachineError(f"process {rank} of {count} {first.text}; {go_on}")
    return MachineError(first.text if go_on in first.text else f"{first.text}; {go_on}")


def _quiet(before: str | None) -> str:
    """Add to PYTHONWARNINGS that Python's tracker of semaphores is silent about processes that were killed."""
    ours = "ignore:resource_tracker:UserWarning"
    return ours if not before else before if ours in before else f"{before},{ours}"


def _cause(code: int, kills: Mapping[str, int]) -> str:
    if code >= 0:
        return f"ended with exit code {code} and no message"
    why = ""
    if code == -signal.SIGKILL:
        known = control_group.killed_since(kills)
        why = ", often because memory ran out" if known is None else f"; {known}"
    return f"was killed by {signal.Signals(-code).name}{why}"


def _rank(function: Callable[[Any], int], job: Any, place: dict[str, str], pipe: Connection) -> None:
    """Call the function as one process of a run, and send its end to the launcher."""
    os.environ.update(place)
    try:
        outcome = Outcome("code", function(job))
    except Stopped:
        outcome = Outcome("code", STOPPED)
    except BaseException as error:
        outcome = _failed(error)
    with contextlib.suppress(OSError):  # the launcher may have ended before
        pipe.send(outcome)
        pipe.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # everything is closed, and the end of an interpreter with torch takes a second or two


def _failed(error: BaseException) -> Outcome:
    found = exits.refused(error) if isinstance(error, SystemExit) else classed(error)
    if found is None:
        trace = "".join(traceback.format_exception(error))
        return Outcome("bug", text=f"{type(error).__name__}: {error}", trace=trace)
    kind = "lost" if isinstance(found, PeerLost) else "machine" if isinstance(found, MachineError) else "user"
    return Outcome(kind, text=str(found))
