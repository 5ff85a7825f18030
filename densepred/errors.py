"""Errors and notices that users see, and the hint for a misspelt word. Free of torch, so that imports stay fast."""

from __future__ import annotations

import difflib
import errno
import json
import re
import resource
import shlex
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class UserError(ValueError):
    """A mistake that the user can correct. The message is one line: the file or key, the fact, the remedy."""


class Misfit(UserError):  # noqa: N818 - named after the fact
    """Files of a dataset that do not fit it. `cause` names the kind of fault, for reports on many files.

    values: the labels concerned; names: the files concerned, where these are several
    """

    def __init__(
        self, message: str, cause: str = "unreadable", values: Sequence[int] = (), names: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.cause, self.values, self.names = cause, tuple(values), tuple(names)


class MachineError(UserError):
    """A failure of the machine or of another process of the run; what is saved is good, and can be resumed."""


class WorkerKilled(MachineError):  # noqa: N818 - named after the fact
    """A loader worker ended before its time."""


class PeerLost(MachineError):  # noqa: N818 - named after the fact
    """Another process of the run ended, or does not answer."""


class Notice(UserWarning):
    """Something that the user should know and that stops nothing. Components issue it by `warnings.warn`."""


class Remark(Notice):
    """A fact to know, such as the library that counts a score: nothing is at fault."""


@contextmanager
def notices(tell: Callable[[str], object], say: Callable[[str], object] | None = None) -> Iterator[None]:
    """Pass notices to `tell`, remarks to `say`; without this, Python prints them with the line of code."""
    show, before = warnings.showwarning, set[str]()

    def told(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if not issubclass(category, Notice):
            show(message, category, *place, **more)
        elif str(message) not in before:  # training and validation read the same files
            before.add(str(message))
            (say if say is not None and issubclass(category, Remark) else tell)(str(message))

    warnings.showwarning = told
    try:
        yield
    finally:
        warnings.showwarning = show


EXHAUSTED = (
    r"can't allocate memory|[Cc]annot allocate memory|out of memory|std::bad_alloc|can't start new thread|"
    r"failed to map segment|[Uu]nable to mmap|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED"
)
"""Texts of Python, the loader of libraries, and torch, if memory runs out."""


def out_of_memory(error: BaseException) -> bool:
    """Recognise what Python, and torch on its devices, raise if memory runs out."""
    text = str(error)
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError | ImportError | OSError) and bool(re.search(EXHAUSTED, text)))
    )


SYSTEM = {
    errno.ENOSPC: "free some space, or choose another folder",
    errno.EDQUOT: "free some space, or choose another folder",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f), or the file system's",
    errno.EMFILE: "raise the limit (ulimit -n), or lower data.workers",
    errno.ENFILE: "close other programs, or lower data.workers",
    errno.EACCES: "choose another folder, or change its permissions",
    errno.EPERM: "choose another folder, or change its permissions",
    errno.EROFS: "choose another folder",
    errno.ENOTDIR: "choose another path: a part of it is a file",
    errno.EEXIST: "choose another path: a file has this name",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EIO: "check the disk",
    errno.ESTALE: "check the network file system",
    errno.ENOENT: "check the path: it does not exist, or was moved or deleted in the meantime",
    errno.EISDIR: "choose another path: a folder has this name",
    errno.ENOTEMPTY: "choose another path: the folder is not empty",
    errno.ENOMEM: "close other programs, or lower data.workers or data.batch_size",
    errno.EAGAIN: "raise the limit of processes (ulimit -u, or pids.max of a container), or set data.workers=0",
    errno.EPIPE: "its reader has ended: write to a file instead of a pipe",
    errno.EADDRINUSE: "set MASTER_PORT to another port",
}
"""Remedies for refusals of the operating system, by error number."""

FULL_DISK = re.compile(r"\d+ requested and \d+ written|encoder error|unexpected pos \d+ vs \d+")
"""Texts of numpy, Pillow and torch for a disk that is full, without its number."""


def system_error(error: OSError) -> str | None:
    """Return the sentence for a refusal of the operating system; None if it may be a mistake of densepred."""
    where = error.filename2 or error.filename
    if where is None and error.errno in (None, errno.ENOENT, errno.ECHILD, errno.EBADF):
        full = FULL_DISK.search(str(error))
        return f"the disk: a file could not be written ({error}); {SYSTEM[errno.ENOSPC]}" if full else None
    fact = (error.strerror or "input or output failed").lower()
    remedy = SYSTEM.get(error.errno or 0, "check the path and the disk")
    return f"{where or 'the operating system'}: {fact}; {remedy}"


MEMORY = (
    "memory ran out; lower data.batch_size or data.crop, or set trainer.precision=bf16, trainer.checkpointing=true, or "
    "trainer.shard=true on several devices (trainer.accumulate=2 keeps the size of a step; if it was in validation, "
    "lower data.valid_batch_size)"
)
NO_THREAD = (
    "the limit of processes: no further thread or process can start; raise it (ulimit -u, or pids.max of a container), "
    "or set data.workers=0 and OMP_NUM_THREADS=1"
)
REFUSED_THREAD = "can't start new thread|Resource temporarily unavailable"
"""Texts of Python and of torch's C++ if no thread can start."""

UNSTARTED = 71
"""Exit code of a loader worker that can start no thread; EX_OSERR of sysexits.h."""

NEAR = 2**29
"""Bytes below a limit of address space at which an error may come from it: blocks of this size were refused."""

FULL_SHARED_MEMORY = (
    "/dev/shm: the shared memory of the loader's processes is full; set data.workers=0, lower data.batch_size, or "
    "enlarge it (docker run --shm-size=8g)"
)
PEER = (
    "another process of this run ended or did not answer within trainer.timeout_s: see its own message; the last "
    "checkpoint is complete"
)
RUNTIME: tuple[tuple[str, type[UserError], str], ...] = (
    (r"shared memory|Bus error|</torch_", WorkerKilled, FULL_SHARED_MEMORY),
    ("without overflow", UserError, "a number is too large for float32; lower optimizer.lr or optimizer.weight_decay"),
    (rf"DataLoader worker \(pid.* exit(ed)? unexpectedly with exit code {UNSTARTED}\b", WorkerKilled, NO_THREAD),
    (
        r"DataLoader worker \(pid",  # not "Caught RuntimeError in DataLoader worker", a mistake in its code
        WorkerKilled,
        "a loader worker was killed, often because memory ran out; lower data.workers or data.batch_size",
    ),
    (
        "DataLoader timed out",
        WorkerKilled,
        "no batch came within data.timeout_s; is the disk slow, or a loader worker stopped? raise data.timeout_s or "
        "set data.workers=0",
    ),
    (r"(?i)gloo|nccl|Connection (closed|reset) by peer|Connection refused|Broken pipe|Failed to recv", PeerLost, PEER),
    (
        r"client socket has (timed out|failed)|clients? joined|waiting for clients|Timed out after .* waiting for",
        PeerLost,
        "the processes of this run did not find each other within trainer.timeout_s; check that MASTER_ADDR and "
        "MASTER_PORT are reachable from every node and that all processes were started",
    ),
)
"""Failures that torch raises as a RuntimeError, by its text: the kind and the sentence."""


def classed(error: BaseException) -> UserError | None:
    """Return the error as one of the user or the machine, with its sentence; None if it may be a mistake of densepred.

    The one place that decides this for errors of the operating system, of memory, of torch's processes, of encodings,
    YAML and JSON.
    """
    if isinstance(error, UserError):
        return error
    return _refused(error) or _classed(error) or _near(error)


def exhausted(error: BaseException) -> UserError | None:
    """Return the sentence if memory or threads ran out, or may have: then no file and no key is to blame."""
    return _refused(error) or _near(error)


def _refused(error: BaseException) -> UserError | None:
    if isinstance(error, RuntimeError) and re.search(REFUSED_THREAD, str(error)) and _space() is None:
        return MachineError(NO_THREAD)
    return MachineError(_memory()) if out_of_memory(error) else None


def _near(error: BaseException) -> UserError | None:
    if not _space_is_short():
        return None
    fact, _, remedy = _memory().replace("ran out", "probably ran out").partition("; ")
    return MachineError(f"{fact} ({shown(f'{type(error).__name__}: {error}')}); {remedy}")


def _classed(error: BaseException) -> UserError | None:
    if isinstance(error, OSError):
        sentence = system_error(error)
        return None if sentence is None else MachineError(sentence)
    if isinstance(error, RuntimeError) and not isinstance(error, RecursionError):
        return next((_told(error, kind, said) for text, kind, said in RUNTIME if re.search(text, str(error))), None)
    sentence = _unreadable(error)
    return None if sentence is None else UserError(sentence)


def _space() -> int | None:
    """Return the limit of address space of this process in bytes (ulimit -v); None without one."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _space_is_short() -> bool:
    """Return True if this process has come near its limit of address space."""
    if (limit := _space()) is None:
        return False
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines()
        peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmPeak"))
    except (OSError, StopIteration, MemoryError):
        return True
    return limit - peak < NEAR


def _memory() -> str:
    """Return the sentence for memory that ran out; a limit of this process comes before smaller batches."""
    limit = _space()
    if limit is None:
        return MEMORY
    fact = f"memory ran out: ulimit -v is {limit / 1e9:.1f} GB of address space; raise it (ulimit -v unlimited), or"
    return MEMORY.replace("memory ran out;", fact)


def _told(error: RuntimeError, kind: type[UserError], sentence: str) -> UserError:
    """Return the error with its sentence; the text of a lost connection names the peer, so it is kept."""
    lines = str(error).splitlines()
    return kind(f"{sentence} ({shown(lines[0])})" if kind is PeerLost and lines else sentence)


def _unreadable(error: BaseException) -> str | None:
    """Return the sentence for a module that is missing, or text that cannot be read, with the file if it is named."""
    if isinstance(error, ModuleNotFoundError) and not (error.name or "densepred").startswith("densepred"):
        return f"{error.name}: a Python module that an installed package needs is missing; pip install its package"
    if isinstance(error, UnicodeDecodeError):
        return f"a file is not text in UTF-8: {error.reason} at byte {error.start}; save it as UTF-8"
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return f"{shown(error.object)}: a name that is not UTF-8; rename the file or the folder"
    if isinstance(error, RecursionError) and _parsed(error):
        return "a file or an override is nested too deep, or names itself; check its brackets and defaults"
    if type(error).__module__.split(".")[0] == "yaml":
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = f"{mark.name}, line {mark.line + 1}" if mark is not None else getattr(error, "name", "a YAML file")
        fact = getattr(error, "problem", None) or getattr(error, "reason", None) or "no YAML"
        return f"{place}: {fact}; mend the file"
    if isinstance(error, json.JSONDecodeError):
        return f"a JSON file is damaged: {error}; mend the file, or make it again"
    return None


def _parsed(error: BaseException) -> bool:
    """Look for a parser among the functions that raised an error."""
    frames = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(str(name).split(".")[0] in ("json", "yaml", "omegaconf", "antlr4", "hydra") for name in frames)


def suggest(word: str, words: Iterable[str], otherwise: str | None = None, count: int = 1) -> str:
    """Return "did you mean ...?" with the `count` closest of `words`; if none is close, `otherwise`, or all of them."""
    words = sorted(words)
    if near := difflib.get_close_matches(word, words, count):
        return f"did you mean {' or '.join(near)}?"
    return f"known: {', '.join(words) or 'none'}" if otherwise is None else otherwise


def in_shell(word: str) -> str:
    """Return an override as the shell needs it: in quotes if it holds brackets, braces, blanks or other signs."""
    return shlex.quote(word)


def shown(value: object) -> str:
    """Return `value` as a message may show it: ASCII, in one line, at most 60 characters, whatever its type."""
    try:
        text = ascii(value)
    except (ValueError, RecursionError):  # a number of thousands of digits; a value nested too deep
        text = f"a {type(value).__name__} too large to show"
    return text if len(text) <= 60 else f"{text[:57]}..."
