"""Label Studio's export as JSON, and a writer of its brush masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.dataset.files import picture, write

SIZE = (20, 40)


def brush(mask: np.ndarray, repeat: bool = True) -> list[int]:
    """Return the code of a mask (H, W) bool as Label Studio stores it, in runs of equal bytes or byte by byte."""
    values = np.repeat(mask.ravel().astype(np.uint8) * 255, 4).tolist()
    text = f"{len(values):032b}{7:05b}{0:04b}{3:04b}{7:04b}{15:04b}"
    place = 0
    while place < len(values):
        end = place + 1
        while end < len(values) and values[end] == values[place] and end - place < 256 and repeat:
            end += 1
        if repeat:
            text += f"1{2:02b}{end - place - 1:08b}{values[place]:08b}"
        else:
            end = min(place + 16, len(values))
            text += f"0{1:02b}{end - place - 1:04b}" + "".join(f"{value:08b}" for value in values[place:end])
        place = end
    text += "0" * (-len(text) % 8)
    return [int(text[start : start + 8], 2) for start in range(0, len(text), 8)]


def result(kind: str, label: str, **value: Any) -> dict[str, Any]:
    more = {"original_width": SIZE[1], "original_height": SIZE[0], "image_rotation": 0}
    return {"id": "x", "type": kind, "value": {**value, kind: [label]}, **more}


def task(number: int, image: str, *results: dict[str, Any]) -> dict[str, Any]:
    one = {"id": number, "was_cancelled": False, "result": list(results)}
    return {"id": number, "data": {"image": f"/data/upload/1/{image}"}, "annotations": [one]}


def save(root: Path, split: str, *results: dict[str, Any]) -> None:
    write(root / f"images/{split}.png", picture(SIZE))
    (root / f"{split}.json").write_text(json.dumps([task(1, f"0a1b2c3d-{split}.png", *results)]))


def tree(root: Path, split: str) -> None:
    save(root, split, result("polygonlabels", "cat", points=[[25, 25], [75, 25], [75, 75], [25, 75]]))
