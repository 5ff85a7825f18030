"""Shapes of labelme's JSON files as parts of a COCO segmentation.

Source: https://github.com/wkentaro/labelme
"""

from __future__ import annotations

import base64
from typing import Any

from densepred.dataset import png_mask
from densepred.dataset.mask_runs import runs
from densepred.dataset.outline import outline
from densepred.errors import UserError

OPEN = ("line", "linestrip", "point", "points")
"""Shapes without an area."""


def area(kind: str, shape: dict[str, Any], size: tuple[int, int], where: str) -> list[float] | dict[str, Any]:
    """Return the outline of a shape, or the runs of a mask; size: height and width of the image."""
    if kind != "mask":
        return outline(kind, shape.get("points"), where)
    x0, y0, *_ = outline("rectangle", shape.get("points"), where)
    try:
        mask = png_mask.decode(base64.b64decode(shape.get("mask") or "", validate=True), size)
    except Exception as error:  # Pillow's plug-ins raise nearly every type
        raise UserError(f"{where}: its mask cannot be read ({error}); draw it again") from error
    return runs(mask, size, int(x0), int(y0))
