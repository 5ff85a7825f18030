"""The official trees of Mapillary Vistas 1.2 and 2.0, one image per split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.dataset.files import picture, write

SPLITS = ("training", "validation")
LABELS = (
    ("object--bird", "Bird", True, True, (165, 42, 42)),
    ("nature--sky", "Sky", True, False, (70, 130, 180)),
    ("object--sign--back", "Sign", True, True, (192, 192, 192)),
    ("object--sign--front", "Sign", True, True, (220, 220, 0)),
    ("void--unlabeled", "Unlabeled", False, False, (0, 0, 0)),
)
"""Name, readable name, evaluate, instances, colour."""
IDS = np.array([[256, 256, 256, 1024], [0, 0, 1, 1], [513, 514, 768, 769]], np.uint16).repeat(4, 0).repeat(4, 1)
"""Sky; unlabelled; birds 0 and 1; back of a sign 1 and 2; front of a sign 0 and 1."""


def tree(root: Path, split: str, config: str = "config.json", version: str = "") -> None:
    keys = ("name", "readable", "evaluate", "instances", "color")
    labels = [dict(zip(keys, label, strict=True)) for label in LABELS]
    root.mkdir(parents=True, exist_ok=True)
    (root / config).write_text(json.dumps({"labels": labels, "version": "1.2", "mapping": "public"}))
    write(root / f"{split}/images/a.jpg", picture(IDS.shape))
    write(root / split / version / "instances/a.png", IDS)
    write(root / split / version / "labels/a.png", (IDS // 256).astype(np.uint8))
