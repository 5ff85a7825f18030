"""A second process that tells how a command ended where memory or processes are limited (`limits.tight`).

There the command often cannot tell it itself. Libraries end the process or abort it when an allocation or a thread is
refused (OpenBLAS, libgomp, glibc). Python waits for ever for a thread that could not begin. So the command runs in a
child, and this small process waits, passes signals on, and looks whether the child and its descendants still move.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import signal
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from densepred.process import limits
from densepred.process.parent import GRACE, PARENT, PR_SET_PDEATHSIG

EVERY = 0.1
"""Seconds between two looks at the end of the child; every tenth looks at its descendants too."""

PATIENCE = 120.0
"""Seconds without a move after which a command counts as hung, until `expect` tells another number."""

TICKS = 2
"""Ticks of the processor in a second from which a process moves; threads that only wake now and then take fewer."""

FAULTS = (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGTRAP)
"""Ends of a process that libraries bring about if memory is refused."""

SILENT = (1, 127)
"""Exit codes of OpenBLAS, libgomp and glibc, and of Python, if they are not those of a command that told of them."""

_FORM = struct.Struct("<bd")
_shared: mmap.mmap | None = None  # the child writes: has it told of its end; the seconds of patience; how to go on


def supervise(numbers: Sequence[int]) -> None:
    """Return in a child; this process stays behind, and ends as the child does. `numbers` are signals to pass on."""
    global _shared
    _shared = mmap.mmap(-1, mmap.PAGESIZE)
    _shared[: _FORM.size] = _FORM.pack(0, PATIENCE)
    before, mine = os.getppid(), os.getpid()
    try:
        child = os.fork()
    except OSError as error:
        _say(f"no process could be started ({(error.strerror or 'fork failed').lower()})")
        os._exit(2)
    if child:
        os._exit(_Supervisor(child, before, _shared).code(numbers))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != mine:
        os._exit(1)
    if PARENT in os.environ:
        os.environ[PARENT] = str(mine)
    if (left := limits.processes_left()) is not None and left < limits.ROOM:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # it sends SIGINT where its threads cannot start


def expect(seconds: float) -> None:
    """Tell how long this command may stand still: the time limit of a wait that is in order. The longest counts."""
    if _shared is not None:
        told, before = _FORM.unpack(_shared[: _FORM.size])
        _shared[: _FORM.size] = _FORM.pack(told, seconds if before == PATIENCE else max(seconds, before))


def told() -> None:
    """Note that this command has told of its end, so that its exit code stands."""
    if _shared is not None:
        _shared[: _FORM.size] = _FORM.pack(1, _FORM.unpack(_shared[: _FORM.size])[1])


def go_on(remedy: str) -> None:
    """Note how to go on after an end that the command cannot tell of, such as "resume with: ..."."""
    if _shared is not None:
        text = remedy.encode()[: mmap.PAGESIZE - _FORM.size - 1]
        _shared[_FORM.size : _FORM.size + len(text) + 1] = text + b"\0"


class _Supervisor:
    """The process that stays behind: it waits for the child."""

    def __init__(self, child: int, parent: int, shared: mmap.mmap) -> None:
        self.child, self.parent, self.shared = child, parent, shared
        self.ticks: dict[int, int] = {}
        self.still, self.orphaned = 0.0, 0.0

    def code(self, numbers: Sequence[int]) -> int:
        """Wait for the end of the child; return the exit code."""
        for number in numbers:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._pass_on)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        looks = 0
        while True:
            ended, status = os.waitpid(self.child, os.WNOHANG)
            if ended:
                return self._ended(os.waitstatus_to_exitcode(status))
            time.sleep(EVERY)
            looks += 1
            if looks % round(1 / EVERY) == 0 and self._hangs():
                return self._end_all()

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.child, number)

    def _hangs(self) -> bool:
        """Look at the child, about once a second; return True if it has not moved for too long."""
        if PARENT in os.environ and os.getppid() != self.parent:  # its sweep has ended: it may save
            if not self.orphaned:
                self.orphaned = time.monotonic()
                self._pass_on(signal.SIGUSR1, None)
            elif time.monotonic() - self.orphaned > GRACE:
                os.kill(self.child, signal.SIGKILL)
        now = _family(self.child)
        moves = any(pid not in self.ticks or one.ticks - self.ticks[pid] >= TICKS for pid, one in now.items())
        waits = any(one.state in "DT" for one in now.values())  # for a disk, or halted
        self.ticks = {pid: one.ticks for pid, one in now.items()}
        self.still = 0.0 if moves or waits else self.still + 1
        return self.still > _FORM.unpack(self.shared[: _FORM.size])[1]

    def _end_all(self) -> int:
        for pid in _family(self.child):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os.waitpid(self.child, 0)
        return self._failed(f"the command did not move for {self.still:.0f} s")

    def _ended(self, code: int) -> int:
        if code < 0 and -code in FAULTS:
            return self._failed(f"the command was ended by {signal.Signals(-code).name}")
        if code < 0:  # sent by another process: this one ends alike
            with contextlib.suppress(OSError):  # SIGKILL has no handler
                signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        if code in SILENT and not _FORM.unpack(self.shared[: _FORM.size])[0]:
            return self._failed(f"the command ended with exit code {code} in one of its libraries")
        return code

    def _failed(self, fact: str) -> int:
        text = self.shared[_FORM.size :].partition(b"\0")[0].decode(errors="replace")
        _say(fact, f"; {text}" if text else "")
        return 2


def _say(fact: str, more: str = "") -> None:
    """Print why the command ended, as far as its limits tell."""
    remedy = "raise the limit, or lower data.workers, data.batch_size and OMP_NUM_THREADS"
    line = f"error: {limits.described()}: {fact}, most likely because this limit was reached; {remedy}{more}\n"
    os.write(2, f"\n{line}".encode() if os.isatty(2) else line.encode())


class _Move(NamedTuple):
    """A process as /proc shows it: its parent, the ticks of the processor that it has taken, and its state."""

    parent: int
    ticks: int
    state: str


def _family(ancestor: int) -> dict[int, _Move]:
    """Return a process and its descendants, those that have ended and wait for their parent left out."""
    every = {int(name): found for name in os.listdir("/proc") if name.isdecimal() and (found := _looked_up(name))}
    family = {ancestor: every[ancestor]} if ancestor in every else {}
    grown = True
    while grown:
        more = {pid: found for pid, found in every.items() if pid not in family and found.parent in family}
        family.update(more)
        grown = bool(more)
    return {pid: found for pid, found in family.items() if found.state not in "ZX"}


def _looked_up(name: str) -> _Move | None:
    try:
        fields = Path(f"/proc/{name}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:  # it has ended
        return None
    return _Move(int(fields[1]), int(fields[11]) + int(fields[12]), fields[0])
