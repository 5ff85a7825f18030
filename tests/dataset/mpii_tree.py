"""A tree in the form of MPII as HRNet's program reads it: two people in one image, one in another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = (60, 80)
SPLITS = ("train", "valid")


def person(image: str, x: float, y: float, scale: float = 0.2, hidden: tuple[int, ...] = ()) -> dict[str, Any]:
    """Place joint i at (x + i, y + 2 i), counted from 1."""
    joints = [[-1.0, -1.0] if i in hidden else [x + i, y + 2 * i] for i in range(16)]
    return {
        "joints_vis": [int(i not in hidden) for i in range(16)],
        "joints": joints,
        "image": image,
        "scale": scale,
        "center": [x + 8, y + 15],
    }


def people() -> list[dict[str, Any]]:
    return [
        person("a.jpg", 11, 6),
        person("b.jpg", 21, 9, hidden=(0, 5)),
        person("a.jpg", 41, 16, hidden=tuple(range(16))),
    ]


def tree(root: Path, split: str) -> None:
    for name in ("a", "b"):
        (root / "images").mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(values).save(root / f"images/{name}.jpg")
    (root / "annot").mkdir(exist_ok=True)
    (root / f"annot/{split}.json").write_text(json.dumps(people()))
