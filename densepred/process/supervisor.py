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
from collections.abc import Iterator
from types import FrameType

from densepred.process import limits, signals, standard_error
from densepred.process.motion import PATIENCE, Motion, family
from densepred.process.parent import GRACE, PARENT, PR_SET_PDEATHSIG

EVERY = 0.1
"""Seconds between two looks at the end of the child; every tenth looks at its descendants too."""

FAULTS = (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGTRAP)
"""Ends of a process that libraries bring about if memory is refused."""

SILENT = (1, 127)
"""Exit codes of OpenBLAS, libgomp and glibc, and of Python, if they are not those of a command that told of them."""

_FORM = struct.Struct("<bd")
_begin = _FORM.pack(0, PATIENCE)
# The command writes: has it told of its end; the seconds of patience; how to go on. A mapping if it is a child.
_shared: mmap.mmap | bytearray = bytearray(_begin.ljust(mmap.PAGESIZE, b"\0"))


def supervise() -> None:
    """Return in a child; this process stays behind, passes signals on, and ends as the child does."""
    global _shared
    _shared = mmap.mmap(-1, mmap.PAGESIZE)
    _shared[: _FORM.size] = _begin
    before, mine = os.getppid(), os.getpid()
    try:
        child = os.fork()
    except OSError as error:
        _say(f"no process could be started ({(error.strerror or 'fork failed').lower()})")
        os._exit(2)
    if child:
        os._exit(_Supervisor(child, before).code())
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != mine:
        os._exit(1)
    if PARENT in os.environ:
        os.environ[PARENT] = str(mine)
    if (left := limits.processes_left()) is not None and left < limits.ROOM:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # it sends SIGINT where its threads cannot start


def watches() -> bool:
    """Return True if a second process watches this one."""
    return isinstance(_shared, mmap.mmap)


def expect(seconds: float) -> None:
    """Tell how long this command may stand still: the time limit of a wait that is in order. The longest counts."""
    before = patience()
    _note(seconds if before == PATIENCE else max(seconds, before), has_told=_has_told())


def patience() -> float:
    """Return the seconds without a move after which this command counts as hung."""
    return _FORM.unpack(_shared[: _FORM.size])[1]


def told() -> None:
    """Note that this command has told of its end, so that its exit code stands."""
    _note(patience(), has_told=True)


def go_on(remedy: str) -> None:
    """Note how to go on after an end that the command cannot tell of, such as "resume with: ..."."""
    text = remedy.encode()[: mmap.PAGESIZE - _FORM.size - 1]
    _shared[_FORM.size : _FORM.size + len(text) + 1] = text + b"\0"


@contextlib.contextmanager
def during(remedy: str) -> Iterator[None]:
    """Note `remedy` inside a block, as `go_on` does, and what was noted before after it."""
    before = _noted()
    go_on(remedy)
    try:
        yield
    finally:
        go_on(before)


def sentence(fact: str) -> str:
    """Return why the command ended, as far as its limits tell, and how to go on if the command has noted it."""
    remedy = "raise the limit, or lower data.workers, data.batch_size and OMP_NUM_THREADS"
    again = f"; {more}" if (more := _noted()) else ""
    return f"{limits.described()}: {fact}, most likely because this limit was reached; {remedy}{again}"


def _note(seconds: float, has_told: bool) -> None:
    _shared[: _FORM.size] = _FORM.pack(has_told, seconds)


def _noted() -> str:
    return bytes(_shared[_FORM.size :]).partition(b"\0")[0].decode(errors="replace")


def _has_told() -> bool:
    return bool(_FORM.unpack(_shared[: _FORM.size])[0])


class _Supervisor:
    """The process that stays behind: it waits for the child."""

    def __init__(self, child: int, parent: int) -> None:
        self.child, self.parent, self.motion = child, parent, Motion(child)
        self.still, self.orphaned = 0.0, 0.0

    def code(self) -> int:
        """Wait for the end of the child; return the exit code."""
        signals.take(self._pass_on)
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
        self.still = 0.0 if self.motion.seen() else self.still + 1
        return self.still > patience()

    def _end_all(self) -> int:
        for pid in family(self.child):
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
        if code in SILENT and not _has_told():
            return self._failed(f"the command ended with exit code {code} in one of its libraries")
        return code

    def _failed(self, fact: str) -> int:
        _say(fact)
        return 2


def _say(fact: str) -> None:
    standard_error.write(f"error: {sentence(fact)}")
