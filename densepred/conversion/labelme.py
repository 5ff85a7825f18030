"""labelme's JSON files, one per image: masks, rectangles, points.

Source of the format: https://github.com/wkentaro/labelme
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from densepred import atomic
from densepred.conversion.cvat import cropped
from densepred.conversion.predictions import Found, Picture, Predictions

Json = dict[str, Any]
VERSION = "5.5.0"
"""Version of labelme that wrote masks, with the same keys as later ones."""


def write(root: Path, found: Predictions) -> None:
    """Write a file per image below `root`, at the path of its image."""
    for picture in found.pictures:
        place = root / Path(picture.name).with_suffix(".json")
        if place.exists():  # a.jpg beside a.png
            place = place.with_name(f"{Path(picture.name).name}.json")
        place.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_json(place, _file(picture, found))


def _file(picture: Picture, found: Predictions) -> Json:
    shapes = [shape for number, one in enumerate(found.objects(picture)) for shape in _shapes(one, number, found)]
    height, width = picture.size
    return {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": Path(picture.name).name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def _shapes(one: Found, number: int, found: Predictions) -> list[Json]:
    """Return a shape per object, or one per keypoint; the score and the class of a skeleton are its description."""
    score = f"score {one.score:.3f}"
    if one.mask is not None:
        top, left, part = cropped(one.mask)
        corners: list[list[float]] = [[left, top], [left + part.shape[1] - 1, top + part.shape[0] - 1]]
        return [{**_shape(one.label, "mask", corners, None, score), "mask": _packed(part)}]
    if one.box is not None:
        x, y, width, height = one.box
        return [_shape(one.label, "rectangle", [[x, y], [x + width, y + height]], None, score)]
    assert one.keypoints is not None
    # The center of COCO's first pixel is 0, that of labelme's is 0.5
    return [
        _shape(name, "point", [[x + 0.5, y + 0.5]], number, f"{one.label}, {score}")
        for name, (x, y, confidence) in zip(found.joints(one.label), one.keypoints.tolist(), strict=True)
        if confidence > 0
    ]


def _shape(label: str, kind: str, points: list[list[float]], group: int | None, text: str) -> Json:
    fields = {"label": label, "points": points, "group_id": group, "description": text}
    return {**fields, "shape_type": kind, "flags": {}, "mask": None}


def _packed(mask: np.ndarray) -> str:
    packed = io.BytesIO()
    Image.fromarray(mask).save(packed, "PNG")
    return base64.b64encode(packed.getvalue()).decode("ascii")
