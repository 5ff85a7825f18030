"""The official tree of Oxford-IIIT Pet: a cat and a dog per image of a list."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.dataset.files import picture, write

SIZE = (12, 16)
SPLITS = ("trainval", "test")
ROWS = [f"{name}_{number} {breed}" for number in range(20) for name, breed in (("Bengal", "6 1 2"), ("pug", "26 2 16"))]


def trimap() -> np.ndarray:
    """Return background (2) above, the border (3) in one row, the pet (1) below."""
    values = np.full(SIZE, 2, np.uint8)
    values[5], values[6:] = 3, 1
    return values


def tree(root: Path, split: str) -> None:
    rows = ROWS if split == "trainval" else [row.replace("_", "_1") for row in ROWS[:2]]
    for row in rows:
        name = row.split()[0]
        write(root / f"images/{name}.jpg", picture(SIZE))
        write(root / f"annotations/trimaps/{name}.png", trimap())
    (root / f"annotations/{split}.txt").write_text("\n".join(rows) + "\n")
    (root / "annotations/trimaps/._Bengal_0.png").write_bytes(b"Mac OS X")  # as in the archive
    (root / "images/Bengal_0.mat").write_bytes(b"MATLAB")
