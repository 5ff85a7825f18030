"""The official tree ADEChallengeData2016, two images per split."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.dataset.files import picture, write

SPLITS = ("training", "validation")
SIZE = (14, 15)


def values() -> np.ndarray:
    """Return a map of the values 0 (unlabelled) to 150, as far as they go."""
    return (np.arange(SIZE[0] * SIZE[1]).reshape(SIZE) % 151).astype(np.uint8)


def tree(root: Path, split: str) -> None:
    word = {"training": "train", "validation": "val"}[split]
    for number in (1, 2):
        write(root / f"images/{split}/ADE_{word}_0000000{number}.jpg", picture(SIZE))
        write(root / f"annotations/{split}/ADE_{word}_0000000{number}.png", values())
    names = {1: "wall", 2: "building, edifice", 3: "screen, silver screen", 4: "screen, CRT screen"}
    rows = [f"{i}\t0.1\t10\t2\t{names.get(i, f'thing {i}, other word')}" for i in range(1, 151)]
    (root / "objectInfo150.txt").write_text("\n".join(["Idx\tRatio\tTrain\tVal\tName", *rows]) + "\n")
