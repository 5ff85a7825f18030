"""ImageJ's regions of interest, `.roi` files and `.zip` files of them, by roifile.

roifile (BSD-3, https://github.com/cgohlke/roifile) follows ImageJ's RoiDecoder.java; the extra `imagej` installs it.
"""

from __future__ import annotations

import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from densepred.dataset.outline import FILLED, ellipse, rectangle
from densepred.errors import UserError, out_of_memory

INSTALL = "pip install 'densepred[imagej]'"
LARGEST = 1 << 26
"""Bytes of all regions of a file."""
AREAS = ("POLYGON", "RECT", "OVAL", "FREEHAND", "TRACED")
"""Types of regions that mark an area."""
RECTANGLES = f"{FILLED}, as ImageJ's masks of them have it"


class Region(NamedTuple):
    """A region: its name and group, what it is if it marks no area (`other`), and outlines x, y, x, y, ...

    plane: it belongs to a later plane of a stack. straight: it is a rectangle that is not turned.
    """

    name: str
    group: int
    other: str | None
    rings: list[list[float]]
    plane: bool
    straight: bool


def read(path: Path) -> list[Region]:
    """Return the regions of a file. Raises UserError if it is damaged or too large, or roifile is missing."""
    if find_spec("roifile") is None:
        raise UserError(f"{path}: holds regions of ImageJ, which roifile reads; type {INSTALL}")
    from roifile import ImagejRoi

    try:
        return [_region(ImagejRoi.frombytes(data), name) for name, data in _contents(path)]
    except UserError:
        raise
    except Exception as error:  # struct, numpy and zipfile raise many types for damaged files
        if out_of_memory(error):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: cannot be read as regions of ImageJ ({reason}); save it again") from error


def _contents(path: Path) -> list[tuple[str, bytes]]:
    """Return the names and bytes of the regions in a file."""
    if path.suffix.lower() == ".roi":
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path}: has more than {LARGEST >> 20} MB; save fewer regions in a file")
        return [(path.stem, path.read_bytes())]
    with zipfile.ZipFile(path) as file:
        entries = [one for one in file.infolist() if one.filename.lower().endswith(".roi")]
        if sum(one.file_size for one in entries) > LARGEST:
            raise UserError(f"{path}: has more than {LARGEST >> 20} MB of regions; save fewer in a file")
        return [(Path(one.filename).stem, file.read(one)) for one in entries]


def _region(roi: Any, name: str) -> Region:
    kind = roi.roitype.name if roi.subtype.name in ("UNDEFINED", "ELLIPSE", "ROTATED_RECT") else roi.subtype.name
    other = None if kind in AREAS else kind.lower()
    plane = max(roi.position, roi.z_position, roi.t_position) > 1
    straight = kind == "RECT" and not roi.composite
    return Region(roi.name or name, roi.group, other, _rings(roi, kind) if other is None else [], plane, straight)


def _rings(roi: Any, kind: str) -> list[list[float]]:
    """Return the outlines: 0 is the edge of the image, as in COCO."""
    if kind in ("RECT", "OVAL") and not roi.composite:
        x, y, width, height = (
            (roi.xd, roi.yd, roi.widthd, roi.heightd)
            if roi.subpixelrect
            else (roi.left, roi.top, roi.right - roi.left, roi.bottom - roi.top)
        )
        if kind == "RECT":
            return [rectangle(x, y, x + width, y + height)]
        return [ellipse(x + width / 2, y + height / 2, width / 2, height / 2)]
    return [ring.ravel().tolist() for ring in roi.coordinates(multi=True)]
