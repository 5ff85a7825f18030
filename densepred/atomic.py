"""Files that are either whole or absent, whatever stops the process or the machine."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from densepred.errors import FULL_DISK

TEMPORARY = ".tmp"
"""The end of the name of a file that is being written."""

OURS = re.compile(r"\.(\d+|[\w-]+\.(safetensors|json|yaml|txt|lock))\..+\.tmp")
"""Temporary names of checkpoints, and of files of a run."""

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""Numbers of errors that come from writing."""

FORMER = ".former"
"""The end of the name of a folder while another takes its place."""


def temporary_name(path: Path) -> Path:
    """Return a name beside `path` that no other process uses, on this host or another of the same disk."""
    host = re.sub(r"[^\w-]", "_", os.uname().nodename)[:20]
    stem = os.fsencode(path.name)[:150].decode(errors="ignore")  # file systems take names of 255 bytes
    return path.with_name(f".{stem}.{host}.{uuid.uuid4().hex[:12]}{TEMPORARY}")


def clean(folder: Path) -> list[str]:
    """Remove what a process that was killed has left under temporary names; return these. No other may write there."""
    left = [path for path in folder.glob(f".*{TEMPORARY}") if OURS.fullmatch(path.name) and not path.is_symlink()]
    for path in left:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return [path.name for path in left]


def link(source: Path, target: Path) -> None:
    """Add the name `target` to a file; it stays when the first is replaced. Copy the file if links are unknown."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        sync(target)


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` write a file beside `path`, then rename it to `path`; see `replacing`."""
    with replacing(path) as temporary:
        write(temporary)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a file to write beside `path`; at the end it is renamed to `path`, after an error removed.

    Raises OSError if `path` is something else than a file: renaming would put a file in the place of a device.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EEXIST, "is no regular file, and is not replaced by one", str(path))
    temporary = temporary_name(path)
    try:
        with naming(path, temporary):
            yield temporary
            follow_umask(temporary)
            sync(temporary)
            os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


@contextlib.contextmanager
def naming(path: Path, temporary: Path) -> Iterator[None]:
    """Let errors of the disk name `path`, which is written under the name `temporary`.

    The system leaves the name out if the disk is full; numpy, Pillow and torch leave out the number of the error too.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        if getattr(error, "errno", None) is None:
            full = errno.ENOSPC if FULL_DISK.search(str(error)) else None
            number = next((number for number in DISK if os.strerror(number) in str(error)), full)
            if number is not None:
                raise OSError(number, os.strerror(number), str(path)) from error
        elif isinstance(error, OSError):
            own, named = str(temporary), str(error.filename)
            if named.startswith(own) or (error.filename is None and error.errno in DISK):
                error.filename = f"{path}{named.removeprefix(own) if named.startswith(own) else ''}"
        raise


def write_json(path: Path, data: Any) -> None:
    """Write JSON; numbers that are not finite become null."""
    write_bytes(path, as_json(data))


def write_bytes(path: Path, data: bytes) -> None:
    """Write the whole content of a file."""
    replace(path, lambda temporary: temporary.write_bytes(data))


def as_json(data: Any) -> bytes:
    """Return JSON in UTF-8; numbers that are not finite become null."""
    text = json.dumps(_finite(data), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", "backslashreplace")


def _finite(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _finite(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_finite(value) for value in node]
    return None if isinstance(node, float) and not math.isfinite(node) else node


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a folder to fill; it gets its name, and replaces one of that name, when its files are on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        with naming(path, temporary):
            temporary.mkdir()
            yield temporary
            for file in sorted(temporary.iterdir()):
                sync(file)
            sync(temporary)
            former = path.with_name(f".{path.name}{FORMER}")
            if path.exists():
                os.rename(path, former)
            os.rename(temporary, path)
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
