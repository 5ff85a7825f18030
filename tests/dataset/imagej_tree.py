"""Regions of ImageJ: a .zip file of the ROI manager beside each image."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

from tests.dataset.files import picture, write

SIZE = (20, 40)
SQUARE = [(10, 5), (30, 5), (30, 15), (10, 15)]
POLYGON, RECT, OVAL, POINT = 0, 1, 2, 10


def region(kind: int, points: list[tuple[int, int]], name: str = "", group: int = 0, z: int = 0) -> bytes:
    """Return the bytes of a .roi file of ImageJ 1.53: corners of a polygon, or the box around a rectangle or an oval.

    Source: https://imagej.net/ij/developer/source/ij/io/RoiEncoder.java.html
    """
    xs, ys = zip(*points, strict=True)
    count = len(points) if kind in (POLYGON, POINT) else 0
    header = struct.pack(">4shBxhhhhH", b"Iout", 228, kind, min(ys), min(xs), max(ys), max(xs), count)
    corners = struct.pack(f">{count}h{count}h", *(x - min(xs) for x in xs[:count]), *(y - min(ys) for y in ys[:count]))
    second = 64 + len(corners)
    header = header.ljust(60, b"\0") + struct.pack(">i", second)
    more = struct.pack(">4xiiiii4xhBBifiii", 0, z, 0, second + 64, len(name), 0, group, 0, 0, 0.0, 0, 0, 0).ljust(
        64, b"\0"
    )
    return header + corners + more + name.encode("utf-16-be")


def composite(*rings: list[tuple[int, int]]) -> bytes:
    """Return a composite region: a path of moves (0), lines (1) and ends (4)."""
    path = list[float]()
    for ring in rings:
        for number, (x, y) in enumerate(ring):
            path += [float(number > 0), x, y]
        path.append(4.0)
    xs, ys = zip(*(point for ring in rings for point in ring), strict=True)
    header = struct.pack(">4shBxhhhhH", b"Iout", 228, RECT, min(ys), min(xs), max(ys), max(xs), 0).ljust(36, b"\0")
    header += struct.pack(">i", len(path))
    return header.ljust(64, b"\0") + struct.pack(f">{len(path)}f", *path)


def pack(path: Path, *regions: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for number, data in enumerate(regions):
            file.writestr(f"{number:04}.roi", data)


def save(root: Path, split: str, *regions: bytes, zipped: str = "a.zip") -> None:
    write(root / f"{split}/a.png", picture(SIZE))
    pack(root / split / zipped, *regions)


def tree(root: Path, split: str) -> None:
    save(root, split, region(POLYGON, SQUARE))
