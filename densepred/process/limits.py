"""Limits of this process that libraries meet badly: address space, and the number of processes and threads."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from densepred.errors import UserError
from densepred.process import control_group

MANY = 32_768
"""A limit of processes from which nothing is counted: reading /proc takes time."""

ROOM = 64
"""Threads and processes that a command may need beside three per processor: workers, writers, loggers."""


def address_space() -> int | None:
    """Return the bytes of address space that this process may take (ulimit -v, or -d if smaller); None if unlimited."""
    found = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    finite = [limit for limit in found if limit != resource.RLIM_INFINITY]
    return min(finite) if finite else None


SOCKET = len("/pymp-12345678/listener-12345678")
"""Characters of the path of a socket below the folder of temporary files, as multiprocessing names it."""


def require_sockets(folder: str | None = None) -> None:
    """Raise UserError if paths in the folder of temporary files are too long for the sockets of worker processes."""
    import tempfile  # not at the start of a command

    folder = tempfile.gettempdir() if folder is None else folder
    most = (107 if sys.platform == "linux" else 103) - SOCKET  # sun_path of unix(7), less a final 0
    if (length := len(os.fsencode(folder))) > most:
        raise UserError(
            f"TMPDIR={folder}: {length} characters are too long for the sockets of worker processes, at most {most}; "
            "set TMPDIR to a shorter folder, such as /tmp"
        )


def soft() -> tuple[object, ...]:
    """Return the limits as they are set now, to see that one has changed: much less work than counting processes."""
    kinds = (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_NPROC)
    return tuple(resource.getrlimit(kind)[0] for kind in kinds)


def processes_left() -> int | None:
    """Return how many more processes and threads can start (ulimit -u, pids.max of a container); None if many."""
    found = [most - used for most, used in filter(None, (_most_of_user(), _of_container()))]
    return max(0, min(found)) if found else None


def tight() -> bool:
    """Return True if the address space is limited, or if there is little room for processes and threads."""
    return address_space() is not None or tight_in_processes()


def tight_in_processes() -> bool:
    left = processes_left()
    return left is not None and left < ROOM + 3 * (os.cpu_count() or 1)


def described() -> str:
    """Return the limits in force: "ulimit -v: 4.0 GB of address space", "ulimit -u: 40 processes and threads"."""
    space, most = address_space(), [one for one in (_most_of_user(), _of_container()) if one is not None]
    found = [] if space is None else [f"ulimit -v: {space / 1e9:.1f} GB of address space"]
    if most and tight_in_processes():
        found.append(f"ulimit -u, or pids.max of the container: {min(one[0] for one in most)} processes and threads")
    return " and ".join(found)


def _most_of_user() -> tuple[int, int] | None:
    """Return the limit of this user and what is used of it: threads count, those of all processes. Root has none."""
    limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    if os.getuid() == 0 or limit == resource.RLIM_INFINITY or limit > MANY or not Path("/proc/self/stat").is_file():
        return None
    return limit, sum(map(_threads, os.listdir("/proc")))


def _threads(name: str) -> int:
    """Return the threads of a process if it belongs to this user, else 0."""
    if not name.isdecimal():
        return 0
    try:
        if os.stat(f"/proc/{name}").st_uid != os.getuid():
            return 0
        return int(Path(f"/proc/{name}/stat").read_text(errors="replace").rpartition(")")[2].split()[17])
    except (OSError, IndexError, ValueError):  # it has ended
        return 0


def _of_container() -> tuple[int, int] | None:
    found = [(most, used) for most, used in control_group.processes() if most <= MANY]
    return min(found, key=lambda one: one[0] - one[1], default=None)
