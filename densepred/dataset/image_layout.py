"""Layout of image files, looked at before Pillow opens them: what would take it minutes or fill the memory is refused.

Pillow reads the comments of a PPM byte by byte and keeps every segment of a JPEG. It joins the blocks of a GIF's
comments one by one. It reads each entry of a TIFF's directory, though all entries may point to the same bytes.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from densepred.types import UserError

SMALL = 2**20  # bytes of a file in which no number of segments or chunks is slow
LONGEST = 2**16  # bytes of the header of a PPM
SEGMENTS, SEGMENT_BYTES = 2_000, 2**25  # of a JPEG before its pixels; colour profiles and previews fit well
CHUNKS = 5_000  # of a PNG beside its pixels
BLOCKS = 20_000  # of 255 bytes, of a GIF before its first frame
ENTRIES, DIRECTORIES = 4_096, 300  # of a TIFF
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""The first bytes of a TIFF and of a BigTIFF."""
WIDTHS = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)
"""Bytes of a value by the type of a TIFF's entry."""
_ASCII = 2


def check(path: Path) -> None:
    """Raise UserError for a file that is built to take time or memory out of proportion to its pixels."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            problem = _problem(file, start, size)
    except (OSError, struct.error, ValueError, OverflowError):  # cut off, or a place beyond all files: opening tells
        return
    if problem:
        raise UserError(f"{path}: {problem}, as no camera or program writes; save the image again, or remove it")


def _problem(file: BinaryIO, start: bytes, size: int) -> str | None:
    if start[:1] == b"P" and start[1:2] in b"123456fF7":
        return _pnm(file)
    if start[:4] in TIFF:
        return directories(file, 0, size)
    if size <= SMALL:
        return None
    if start[:3] == b"\xff\xd8\xff":
        return _jpeg(file)
    if start == b"\x89PNG\r\n\x1a\n":
        return _png(file, size)
    return _gif(file) if start[:4] == b"GIF8" else None


def check_exif(data: bytes) -> None:
    """Raise ValueError if the directories of EXIF data hold more bytes than the data itself."""
    inner = data.removeprefix(b"Exif\0\0")
    problem = None
    with contextlib.suppress(struct.error):
        problem = directories(BytesIO(inner), 0, len(inner))
    if problem:
        raise ValueError(f"its EXIF data hold {problem}")


def _pnm(file: BinaryIO) -> str | None:
    """Look for the end of the header: two or three numbers, after comments."""
    file.seek(2)
    text, numbers = file.read(LONGEST), 0
    words = b"\n".join(line.partition(b"#")[0] for line in text.split(b"\n")).split()
    for word in words[:4]:
        numbers += word.isdigit() or word.replace(b".", b"").lstrip(b"-").isdigit()
    long = len(text) == LONGEST and numbers < 2
    return f"no size in its first {LONGEST} bytes" if long else None


def _jpeg(file: BinaryIO) -> str | None:
    """Add up the segments before the pixels."""
    file.seek(2)
    total = 0
    for number in range(SEGMENTS + 1):
        mark = file.read(2)
        if len(mark) < 2 or mark[0] != 0xFF or mark[1] == 0xDA:
            return None
        if mark[1] in range(0xD0, 0xD9) or mark[1] in (0x01, 0xFF):
            file.seek(-1 if mark[1] == 0xFF else 0, 1)
            continue
        (length,) = struct.unpack(">H", file.read(2))
        total += length
        if total > SEGMENT_BYTES or number == SEGMENTS:
            return f"{number + 1} segments and {total} bytes before its pixels"
        file.seek(length - 2, 1)
    return f"more than {SEGMENTS} segments before its pixels"


def _png(file: BinaryIO, size: int) -> str | None:
    """Count the chunks beside those of pixels."""
    others = 0
    while file.tell() + 8 <= size:
        length, kind = struct.unpack(">I4s", file.read(8))
        others += kind != b"IDAT"
        if others > CHUNKS:
            return f"more than {CHUNKS} chunks beside its pixels"
        file.seek(length + 4, 1)
    return None


def _gif(file: BinaryIO) -> str | None:
    """Count the blocks of extensions before the first frame."""
    file.seek(10)
    flags = file.read(3)[0]
    file.seek(3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0, 1)
    blocks = 0
    while file.read(1) == b"!":
        file.seek(1, 1)
        while length := file.read(1):
            if length == b"\0":
                break
            blocks += 1
            if blocks > BLOCKS:
                return f"more than {BLOCKS} blocks of comments"
            file.seek(length[0], 1)
    return None


def directories(file: BinaryIO, start: int, size: int) -> str | None:
    """Add up the values of the directories of a TIFF; those of a file that was written fit into it once."""
    total = number = 0
    for count, sizes in _directories(file, start):
        number, total = number + 1, total + sizes
        if count > ENTRIES or total > size + SMALL:
            return f"a directory of {count} entries and {total} bytes in a file of {size}"
        if number > DIRECTORIES:
            return None  # refused by its number of pages
    return None


def _directories(file: BinaryIO, start: int) -> Iterator[tuple[int, int]]:
    """Yield the entries and the bytes of values of each directory."""
    file.seek(start)
    order, width, counted, pointer, place = _start(file.read(16))
    seen: set[int] = set()
    while place and place not in seen:
        seen.add(place)
        file.seek(start + place)
        (count,) = struct.unpack(order + counted, file.read(struct.calcsize(counted)))
        if count > ENTRIES:
            yield count, 0
            return
        entries = file.read(count * width)
        form = f"{order}HH{pointer}"
        facts = [struct.unpack_from(form, entries, i) for i in range(0, len(entries) - width + 1, width)]
        yield count, sum(number * WIDTHS[kind] for _, kind, number in facts if kind < len(WIDTHS))
        (place,) = struct.unpack(order + pointer, file.read(struct.calcsize(pointer)))


def tags(file: BinaryIO) -> dict[int, bytes]:
    """Return the entries of the first directory of a TIFF by their tag; {} if it is damaged."""
    try:
        file.seek(0)
        order, width, counted, _, place = _start(file.read(16))
        file.seek(place)
        (count,) = struct.unpack(order + counted, file.read(struct.calcsize(counted)))
        entries = file.read(min(count, ENTRIES) * width)
    except (OSError, struct.error, ValueError, OverflowError):
        return {}
    rows = [entries[start : start + width] for start in range(0, len(entries) - width + 1, width)]
    return {struct.unpack(f"{order}H", row[:2])[0]: row for row in rows}


def text_of(file: BinaryIO, tag: int) -> str | None:
    """Return the text of a tag in the first directory of a TIFF; None if it is absent or damaged."""
    if (row := tags(file).get(tag)) is None:
        return None
    file.seek(0)
    order, _, _, pointer, _ = _start(file.read(16))
    kind, length = struct.unpack_from(f"{order}H{pointer}", row, 2)
    if kind != _ASCII or length > LONGEST:
        return None
    value = row[4 + struct.calcsize(pointer) :]
    if length > len(value):
        file.seek(struct.unpack(order + pointer, value)[0])
        value = file.read(length)
    return value[:length].split(b"\0")[0].decode("ascii", "replace").strip()


def _start(head: bytes) -> tuple[str, int, str, str, int]:
    """Return the byte order of a TIFF, the bytes of an entry, two struct codes, and the place of the first directory.

    The codes are those of numbers of entries and of places.
    """
    order = "<" if head[:2] == b"II" else ">"
    if head[2:4] in (b"+\0", b"\0+"):
        return order, 20, "Q", "Q", struct.unpack(f"{order}Q", head[8:16])[0]
    return order, 12, "H", "I", struct.unpack(f"{order}I", head[4:8])[0]


def is_lossless_webp(path: Path) -> bool:
    """Return True if a WebP holds lossless pixels, in one frame, with an alpha channel or without."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(12)
        while file.tell() + 8 <= size:
            kind, length = struct.unpack("<4sI", file.read(8))
            if kind in (b"VP8L", b"VP8 ", b"ANMF"):
                return kind == b"VP8L"
            file.seek(length + length % 2, 1)
    return False
