"""Digests in the header of a file of weights: a damaged file is recognised before its weights are used.

`__metadata__` holds, under `densepred.sha256`, 128 hexadecimal digits. The first 64 are the SHA-256 of the tensors, in
parts that two threads hash at once. The others are that of the header, in which they count as zeros themselves. Files
without this key, of other programs and of earlier versions, are read as they are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from densepred import atomic
from densepred.errors import UserError

KEY = "densepred.sha256"
LENGTH = 64  # hexadecimal digits of one SHA-256
EMPTY = "0" * (2 * LENGTH)
"""Value of the key while a file is written."""

PART = 8 * 2**20  # bytes of one digest
BLOCK = 2**18  # bytes that are read at a time, into memory that stays in the processor's cache
THREADS = 2
_DIGITS = re.compile(rf"[0-9a-f]{{{2 * LENGTH}}}")


def fill(path: Path) -> None:
    """Write the digests into a file that was saved with EMPTY under KEY."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(length)
        place = text.index(f'"{KEY}":"{EMPTY}"'.encode()) + len(f'"{KEY}":"')
        with ThreadPoolExecutor(1) as pool:
            synced = pool.submit(atomic.sync, path)  # the disk works while the processor hashes
            body = of_body(path, 8 + length).encode()
            synced.result()
        text = text[:place] + body + text[place + LENGTH :]
        file.seek(8 + place)
        file.write(body + hashlib.sha256(text).hexdigest().encode())


def of_body(path: Path, start: int) -> str:
    """Return the SHA-256, in hexadecimal, of the digests of each PART of the file from byte `start` on."""
    places = range(start, path.stat().st_size, PART)
    if len(places) < 2:
        return hashlib.sha256(b"".join(_part(path, place) for place in places)).hexdigest()
    with ThreadPoolExecutor(THREADS) as pool:  # hashing and reading leave Python's lock
        return hashlib.sha256(b"".join(pool.map(lambda place: _part(path, place), places))).hexdigest()


def _part(path: Path, place: int) -> bytes:
    sha, block = hashlib.sha256(), memoryview(bytearray(BLOCK))
    with path.open("rb", buffering=0) as file:
        file.seek(place)
        left = PART
        while left and (count := file.readinto(block[: min(left, BLOCK)])):
            sha.update(block[:count])
            left -= count
    return sha.digest()


def check_header(text: bytes, metadata: object, path: Path) -> None:
    """Raise UserError if the header of a file is not the one that was written; `text` is all of it."""
    stored = _stored(metadata, path)
    if stored is None:
        return
    written = stored.encode()
    empty = text.replace(written, written[:LENGTH] + b"0" * LENGTH)
    if text.count(written) != 1 or hashlib.sha256(empty).hexdigest() != stored[LENGTH:]:
        raise _damaged(path, "its header")


@contextmanager
def checked(path: Path, start: int, metadata: object) -> Iterator[None]:
    """Hash the tensors of a file, from byte `start` on, while the block reads them; raise UserError at its end."""
    stored = _stored(metadata, path)
    if stored is None:
        yield
        return
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(of_body, path, start)
        yield
        if found.result() != stored[:LENGTH]:
            raise _damaged(path, "its weights")


def _stored(metadata: object, path: Path) -> str | None:
    """Return both digests; None for a file without. One under another name is a key that was damaged."""
    named: Mapping[Any, Any] = metadata if isinstance(metadata, Mapping) else {}
    found = named.get(KEY)
    elsewhere = any(isinstance(value, str) and _DIGITS.fullmatch(value) for key, value in named.items() if key != KEY)
    if elsewhere or (KEY in named and not (isinstance(found, str) and _DIGITS.fullmatch(found))):
        raise _damaged(path, "the digest in its header")
    return found


def _damaged(path: Path, part: str) -> UserError:
    return UserError(
        f"{path}: {part} changed after it was written (SHA-256 differs): the file is damaged; copy it again, or use "
        "another checkpoint"
    )
