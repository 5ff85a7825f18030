"""Files that are either whole or absent, whatever stops the process or the machine."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

FAULT = "DENSEPRED_FAULT"
"""Tests set this variable to `<point>:kill` to die there, or to `<point>:full` for a disk that is full."""


FORMER = ".former"
"""The end of the name of a folder while another takes its place."""


def fault(point: str) -> None:
    """Let a test end the process, or fill the disk, at this point."""
    wanted, _, act = os.environ.get(FAULT, "").rpartition(":")
    if wanted == point and act == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if wanted == point and act == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` write a file beside `path`, then rename it to `path`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        follow_umask(temporary)
        sync(temporary)
        fault("replace:written")
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)  # a full disk does not name its file
        raise
    sync(path.parent)


def write_json(path: Path, data: Any) -> None:
    """Write JSON; numbers that are not finite become null."""
    text = json.dumps(_finite(data), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    replace(path, lambda temporary: temporary.write_text(text, "utf-8", "backslashreplace"))


def _finite(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _finite(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_finite(value) for value in node]
    return None if isinstance(node, float) and not math.isfinite(node) else node


@contextlib.contextmanager
def new_folder(path: Path, point: str) -> Iterator[Path]:
    """Yield a folder to fill; it gets its name, and replaces one of that name, when its files are on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        for file in sorted(temporary.iterdir()):
            sync(file)
        sync(temporary)
        fault(f"{point}:synced")
        former = path.with_name(f".{path.name}{FORMER}")
        if path.exists():
            os.rename(path, former)
            fault(f"{point}:moved")
        os.rename(temporary, path)
        fault(f"{point}:renamed")
        sync(path.parent)
        shutil.rmtree(former, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def recover(folder: Path) -> None:
    """Restore the name of a folder if its replacement was interrupted."""
    for former in folder.glob(f".*{FORMER}"):
        path = folder / former.name[1 : -len(FORMER)]
        with contextlib.suppress(OSError):  # another process of the run may have done it
            if not path.exists():
                os.rename(former, path)


def sync(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, has reached the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def follow_umask(path: Path) -> None:
    """Set the mode that `open` gives to files: safetensors makes its files private."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()
