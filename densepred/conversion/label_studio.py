"""Tasks of Label Studio with predictions: brush masks, rectangles, keypoints.

Source of the format: https://labelstud.io/guide/predictions; of the brush's code: see `dataset/brush.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from densepred.conversion.predictions import Found, Picture, Predictions
from densepred.dataset.brush import CHANNELS, PERCENT

Json = dict[str, Any]
WORD, SIZES = 8, (2, 4, 8, 16)
"""Bits of a value, and of the four sizes of counts."""


def write(path: Path, found: Predictions) -> None:
    """Write one task per image; `data.image` is the name of its file."""
    tasks = []
    for picture in found.pictures:
        results = [result for one in found.objects(picture) for result in _results(one, picture, found)]
        score = float(np.mean([one["score"] for one in results])) if results else 0.0
        prediction = {"model_version": "densepred", "score": score, "result": results}
        tasks.append({"data": {"image": picture.name}, "predictions": [prediction]})
    path.write_text(json.dumps(tasks), encoding="utf-8")


def _results(one: Found, picture: Picture, found: Predictions) -> list[Json]:
    height, width = picture.size
    if one.mask is not None:
        return [_result("brushlabels", one, picture, one.label, {"format": "rle", "rle": encode(one.mask)})]
    if one.box is not None:
        x, y, across, down = one.box
        value = {"x": x / width, "y": y / height, "width": across / width, "height": down / height}
        value = {key: PERCENT * number for key, number in value.items()}
        return [_result("rectanglelabels", one, picture, one.label, {**value, "rotation": 0})]
    assert one.keypoints is not None
    results = []
    for name, (x, y, confidence) in zip(found.joints(one.label), one.keypoints.tolist(), strict=True):
        if confidence > 0:
            # The center of COCO's first pixel is 0, that of Label Studio's is half a pixel
            value = {"x": PERCENT * (x + 0.5) / width, "y": PERCENT * (y + 0.5) / height, "width": 0.5}
            results.append(_result("keypointlabels", one, picture, name, value))
    return results


def _result(kind: str, one: Found, picture: Picture, label: str, value: Json) -> Json:
    height, width = picture.size
    return {
        "type": kind,
        "from_name": "label",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": one.score,
        "value": {**value, kind: [label]},
    }


def encode(mask: np.ndarray) -> list[int]:
    """Return the code of a brush mask (H, W) bool, the inverse of `dataset.brush.decode`: runs of equal bytes."""
    flat = np.repeat(mask.ravel(), CHANNELS)
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [len(flat)]))
    pieces = [f"{len(flat):032b}{WORD - 1:05b}", *(f"{size - 1:04b}" for size in SIZES)]
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        value = f"{255 * int(flat[start]):08b}"
        while start < end:
            count = min(end - start, 2 ** SIZES[-1])
            choice = next(index for index, size in enumerate(SIZES) if count <= 2**size)
            pieces.append(f"1{choice:02b}{count - 1:0{SIZES[choice]}b}{value}")
            start += count
    text = "".join(pieces)
    text += "0" * (-len(text) % 8)
    return [int(text[place : place + 8], 2) for place in range(0, len(text), 8)]
