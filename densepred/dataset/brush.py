"""Areas of Label Studio, in percent of the image or as a brush mask, as fields of a COCO annotation.

Source of the brush's code: https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from densepred.dataset import coco_fields
from densepred.dataset.mask_runs import runs
from densepred.dataset.outline import ellipse
from densepred.errors import UserError, shown

CHANNELS, ALPHA = 4, 3
PERCENT = 100


def fields(kind: str, value: dict[str, Any], size: tuple[int, int], where: str) -> dict[str, Any]:
    """Return box, polygon or run-length mask of a result; size: height and width of the image."""
    if kind == "brushlabels":
        return {"segmentation": runs(decode(value.get("rle"), size, where), size)}
    scale = np.array([size[1], size[0]]) / PERCENT
    if kind == "polygonlabels":
        points = value.get("points")
        pairs = [coco_fields.numbers(point, where, "points") for point in (points if isinstance(points, list) else [])]
        if not pairs or any(len(pair) != 2 for pair in pairs):
            raise UserError(f"{where}: its points are {shown(points)}; give x and y of each corner")
        return {"segmentation": [(np.array(pairs) * scale).ravel().tolist()]}
    last = ("width", "height") if kind == "rectanglelabels" else ("radiusX", "radiusY")
    x, y, a, b = coco_fields.numbers([value.get(key) for key in ("x", "y", *last)], where, "value")
    (turn,) = coco_fields.numbers([value.get("rotation") or 0], where, "rotation")
    angle, (x, y), (a, b) = math.radians(turn), scale * (x, y), scale * (a, b)
    if kind == "ellipselabels":
        return {"segmentation": [ellipse(float(x), float(y), float(a), float(b), angle)]}
    if not turn:
        return {"bbox": [float(x), float(y), float(a), float(b)]}
    # A rectangle is turned about its upper left corner
    along, down = np.array([math.cos(angle), math.sin(angle)]) * a, np.array([-math.sin(angle), math.cos(angle)]) * b
    corner = np.array([x, y])
    return {"segmentation": [np.concatenate((corner, corner + along, corner + along + down, corner + down)).tolist()]}


def decode(code: Any, size: tuple[int, int], where: str) -> np.ndarray:
    """Return a brush mask (H, W) bool: where the alpha of its H W 4 bytes is above 0.

    The bits are: 32 of the length, 5 of the size of a value less 1, four times 4 of a size of counts less 1. Each piece
    follows: 1 bit that is set for a repeated value, 2 that choose the size of the count, the count less 1, the values.

    Raises UserError if they are damaged or of an image of another size.
    """
    whole = isinstance(code, list) and all(type(byte) is int and 0 <= byte <= 255 for byte in code)
    bits = "".join(f"{byte:08b}" for byte in code) if whole else ""
    total, place = size[0] * size[1] * CHANNELS, 57 - 4
    if len(bits) < place or int(bits[:32], 2) != total:
        raise UserError(f"{where}: its brush mask is damaged or of another size than the image; export it again")
    word = int(bits[32:37], 2) + 1
    sizes = [int(bits[start : start + 4], 2) + 1 for start in range(37, place, 4)]
    out, filled = np.zeros(total, np.uint8), 0
    while filled < total:
        width = sizes[int(bits[place + 1 : place + 3] or "0", 2)]
        end = place + 3 + width
        count = int(bits[place + 3 : end] or "0", 2) + 1
        repeated = bits[place : place + 1] == "1"
        number = 1 if repeated else count
        values = [bits[start : start + word] for start in range(end, end + number * word, word)]
        place = end + number * word
        if place > len(bits) or filled + count > total:
            raise UserError(f"{where}: its brush mask is cut off; export it again")
        out[filled : filled + count] = [int(value, 2) & 255 for value in values]
        filled += count
    return out.reshape(*size, CHANNELS)[..., ALPHA] > 0
