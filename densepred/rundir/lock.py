"""One owner per run folder: a lock that names its process, beats while it lives, and is taken over when it is stale.

run.lock holds the host, the process, its start and a random token. It appears whole, by a link, so two processes never
both make it. A process on this machine is looked up by its number and start time. Any other, on another host or in
another container, is watched: a lock that does not beat for PATIENCE seconds is stale. No clocks are compared.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from densepred import atomic, distributed
from densepred.errors import UserError
from densepred.output import many
from densepred.process import control_group

FILE = "run.lock"
BEFORE_RECORD = ("config.yaml", "environment.json")
"""Files of a run that `provenance.write` writes before overrides.txt, in this order."""

BEAT, PATIENCE = 10.0, 60.0
"""Seconds between two beats of an owner, and without any after which it counts as gone."""

LOOK = 1.0  # seconds between two looks at the lock of another host


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that writes to a run. `place` is the boot and the namespace in which `pid` is valid."""

    host: str
    pid: int
    place: str
    started: str
    since: str
    token: str
    kills: dict[str, int] = field(default_factory=dict)  # of its control groups, when it began

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


def this_process() -> Owner:
    boot = _text(Path("/proc/sys/kernel/random/boot_id"))
    namespace = ""
    with contextlib.suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    host = os.uname().nodename
    token, kills = uuid.uuid4().hex, control_group.memory_kills()
    return Owner(host, os.getpid(), f"{host} {boot} {namespace}", _started(os.getpid()), since, token, kills)


class Lock:
    """The lock of a run folder in this process. Two processes that take it at once: one gets it, one is refused."""

    def __init__(self, folder: Path, say: Callable[[str], object] = print) -> None:
        self.path, self.say, self.owner = folder / FILE, say, this_process()
        self._ended = threading.Event()

    def __enter__(self) -> Lock:
        self.path.parent.mkdir(parents=True, exist_ok=True)  # a run that was refused has removed it meanwhile
        while not self._made():
            found = read(self.path)
            if found is None or self._take_over(found):
                continue
            raise UserError(
                f"{self.path.parent}: in use by {found}; wait for its end or stop it. If it is gone, remove {self.path}"
            )
        threading.Thread(target=self._beat, name="run.lock", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError, UserError):
            now = read(self.path)
            if now == self.owner and self.owner.pid == os.getpid():
                self.path.unlink()

    def require(self) -> None:
        """Raise UserError if another process has taken the folder over, as after a long halt of this one."""
        now = read(self.path)
        if now is None and self.path.parent.is_dir():
            self._made()  # somebody removed it
            now = read(self.path)
        if now is not None and now.token != self.owner.token:
            raise UserError(
                f"{self.path.parent}: taken over by {now}, as this process did not move and stops; "
                "wait for the end of the other, or stop it"
            )

    def _made(self) -> bool:
        """Make the lock; return False if there is one."""
        with self._written() as temporary:
            try:
                os.link(temporary, self.path)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                    raise
                return self._made_without_links(temporary.read_bytes())
        return True

    def _made_without_links(self, text: bytes) -> bool:
        try:
            handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        return True

    @contextlib.contextmanager
    def _written(self) -> Iterator[Path]:
        """Yield the lock's content under a name of its own, which is removed in the end."""
        temporary = self.path.with_name(f".{FILE}.{self.owner.token}.tmp")
        try:
            with atomic.naming(self.path, temporary):
                temporary.write_text(json.dumps(asdict(self.owner)) + "\n", encoding="utf-8")
                atomic.sync(temporary)  # so that a loss of power leaves no lock without content
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def _take_over(self, found: Owner) -> bool:
        """Return True if the lock was stale, or has changed hands meanwhile: then it is free to try again."""
        try:
            file = self.path.open("r+b")
        except FileNotFoundError:
            return True
        with file:
            if self._alive(found):
                return False
            # Processes that find the same stale lock follow one another; the second sees another file in its place.
            with contextlib.suppress(OSError):  # file systems without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            now = read(self.path)
            if now is not None and now.token == found.token:
                self.say(f"{self.path.parent}: the lock of {found}, is stale: that process has ended; it is taken over")
                if found.place == self.owner.place and (killed := control_group.killed_since(found.kills)):
                    self.say(f"  since it began, {killed}; lower data.batch_size or data.crop if this start ends alike")
                self.path.unlink()
        return True

    def _alive(self, owner: Owner) -> bool:
        """Look a process of this machine up; watch the lock of another for a beat."""
        if owner.place == self.owner.place:
            return _started(owner.pid) == owner.started != "" if owner.started else _exists(owner.pid)
        before = _beaten(self.path)
        self.say(f"{self.path.parent}: locked by {owner}; waiting up to {PATIENCE:g} s for a sign of it")
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            time.sleep(LOOK)
            if _beaten(self.path) != before:
                return True
        return False

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            with contextlib.suppress(OSError):
                os.utime(self.path)


@contextlib.contextmanager
def owned(folder: Path, say: Callable[[str], object] = print) -> Iterator[Lock | None]:
    """Own the folder inside the `with` statement. The processes of one run share the lock of rank 0, others get None.

    Raises UserError, on every rank, if another run owns it.
    """
    with contextlib.ExitStack() as stack:
        lock, refusal = None, None
        if distributed.is_main():
            try:
                lock = stack.enter_context(Lock(folder, say))
            except UserError as error:
                refusal = str(error)
        if refusal := distributed.share(refusal):
            raise UserError(refusal)
        if lock is not None and (left := [*atomic.clean(folder), *atomic.clean(folder / "checkpoints")]):
            say(f"{folder}: removed {many(len(left), 'file')} that a stopped process had begun: {', '.join(left[:3])}")
        yield lock


def is_unfinished_start(folder: Path) -> bool:
    """Return True if a folder holds what a start leaves that was killed before overrides.txt completed its record.

    That is a lock, temporary files, and beside a lock the files that are written before. Without a lock these may be
    somebody's own.
    """
    files = [path for path in folder.rglob("*") if not path.is_dir() and not atomic.OURS.fullmatch(path.name)]
    begun = {folder / FILE, *((folder / name for name in BEFORE_RECORD) if (folder / FILE).is_file() else ())}
    return begun.issuperset(files)


def read(path: Path) -> Owner | None:
    """Return the owner that a lock names, None without a lock. Raises UserError if it cannot be read."""
    for attempt in range(20):  # a file system without links shows it empty for a moment
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return Owner(
                **{one.name: data[one.name] for one in fields(Owner) if one.name in data or one.name != "kills"}
            )
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            if attempt == 19:
                raise UserError(f"{path}: cannot be read as a lock; remove it if no process writes there") from error
            time.sleep(0.05)
    raise AssertionError


def _started(pid: int) -> str:
    """Return the start of a process in clock ticks since the boot; "" if it has ended or there is no /proc."""
    found = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return "" if not found or found[0] in ("Z", "X") else found[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _beaten(path: Path) -> tuple[int, int] | None:
    """Return what changes with each beat; opened, so that a network file system asks its server."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
