"""Arrays of numbers in MATLAB files of version 5 to 7, read without scipy, which ends the process on damaged ones.

Source: https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Types of numbers in a data element, as numpy's without the byte order."""

MATRIX, COMPRESSED = 14, 15
NUMERIC = range(6, 16)  # classes of arrays: double, single, and integers of 8 to 64 bits
COMPLEX = 0x800
HEADER, TAG, SMALL = 128, 8, 4
DIMENSIONS = 8
PEEK = 512  # bytes of a compressed variable that hold its name


def read(path: Path, name: str, most: int) -> np.ndarray:
    """Return the variable `name`, real numbers of any shape, as float64; of a file and a variable up to `most` bytes.

    Raises ValueError, with the reason, if the file lacks it or is damaged, and OSError.
    """
    if path.stat().st_size > most:
        raise ValueError(f"more than {most >> 20} MB")
    data = path.read_bytes()
    order = {b"IM": "<", b"MI": ">"}.get(data[126:HEADER])
    if len(data) < HEADER or order is None:
        raise ValueError("no MATLAB file of version 5 to 7")
    for kind, content in _elements(data[HEADER:], order):
        whole = _inflated(content, order, name, most) if kind == COMPRESSED else content if kind == MATRIX else None
        if whole is not None and (found := _array(whole, order, name)) is not None:
            return found
    raise ValueError(f"no variable {name}")


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the content of each data element; small ones hold both in eight bytes."""
    place = 0
    while place + TAG <= len(data):
        kind, size = (int(value) for value in np.frombuffer(data, f"{order}u4", 2, place))
        if kind >> 16:
            yield kind & 0xFFFF, _exactly(data, place + SMALL, min(kind >> 16, SMALL))
            place += TAG
            continue
        yield kind, _exactly(data, place + TAG, size)
        place += TAG + (size if kind == COMPRESSED else (size + 7) // 8 * 8)


def _exactly(data: bytes, start: int, size: int) -> bytes:
    if start + size > len(data):
        raise ValueError("cut off")
    return data[start : start + size]


def _inflated(content: bytes, order: str, name: str, most: int) -> bytes | None:
    """Return the content of a compressed matrix if it is the variable `name`."""
    try:
        unpack = zlib.decompressobj()
        start = unpack.decompress(content, PEEK)
        if name.encode() not in start:
            return None
        whole = start + unpack.decompress(unpack.unconsumed_tail, most)
    except zlib.error as error:
        raise ValueError(f"damaged: {error}") from error
    kind, size = (int(value) for value in np.frombuffer(_exactly(whole, 0, TAG), f"{order}u4"))
    return _exactly(whole, TAG, size) if kind == MATRIX else None


def _array(matrix: bytes, order: str, name: str) -> np.ndarray | None:
    """Return the array of a matrix if it is called `name`."""
    parts = _elements(matrix, order)
    try:
        (_, flags), (_, sides), (_, called) = (next(parts) for _ in range(3))
        if called != name.encode():
            return None
        kind, values = next(parts)
    except (StopIteration, RuntimeError) as error:
        raise ValueError("an array without content") from error
    about = int(np.frombuffer(_exactly(flags, 0, SMALL), f"{order}u4")[0])
    shape = [int(side) for side in np.frombuffer(sides[: len(sides) // 4 * 4], f"{order}i4")]
    if about & 0xFF not in NUMERIC or about & COMPLEX or kind not in TYPES:
        raise ValueError(f"{name} is no array of real numbers")
    if not 0 < len(shape) <= DIMENSIONS or min(shape) < 0:
        raise ValueError(f"{name} has the shape {shape[:DIMENSIONS]}")
    numbers = np.dtype(f"{order}{TYPES[kind]}")
    if math.prod(shape) * numbers.itemsize != len(values):
        raise ValueError(f"{name} has the shape {shape} but {len(values)} bytes")
    return np.frombuffer(values, numbers).reshape(shape, order="F").astype(np.float64)
