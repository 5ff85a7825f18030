"""labelme's form: a JSON file beside each image."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.dataset.files import picture, write

SIZE = (20, 40)
SQUARE = [[10, 5], [30, 5], [30, 15], [10, 15]]


def shape(
    label: str, points: Sequence[Sequence[float]], kind: str = "polygon", group: int | None = None
) -> dict[str, Any]:
    return {"label": label, "points": points, "group_id": group, "shape_type": kind, "flags": {}}


def masked(label: str, pixels: np.ndarray, corner: tuple[int, int], group: int | None = None) -> dict[str, Any]:
    """Return the shape of a mask (h, w) of 0 and 1 with its first pixel at x and y of `corner`."""
    x, y = corner
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "PNG")
    points = [[x, y], [x + pixels.shape[1] - 1, y + pixels.shape[0] - 1]]
    return shape(label, points, "mask", group) | {"mask": base64.b64encode(packed.getvalue()).decode()}


def save(root: Path, name: str, shapes: list[dict[str, Any]], **more: Any) -> None:
    size = more.pop("size", SIZE)
    write(root / f"{name}.jpg", picture(size))
    data = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{Path(name).name}.jpg"}
    data |= {"imageData": None, "imageHeight": size[0], "imageWidth": size[1]} | more
    (root / f"{name}.json").write_text(json.dumps(data))


def tree(root: Path, split: str) -> None:
    save(root, f"{split}/a", [shape("cat", SQUARE), shape("dog", [[2, 2], [8, 9]], "rectangle")])
