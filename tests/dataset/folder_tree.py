"""Images, maps of two classes and maps of five instances, in folders per split."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.dataset.files import picture, write

SIZE = (37, 45)


def tree(root: Path, split: str) -> None:
    """Draw two images of a split with their masks and instances."""
    for index, name in enumerate("ab"):
        write(root / f"images/{split}/{name}.png", picture(SIZE))
        write(root / f"masks/{split}/{name}.png", labels(2, index))
        write(root / f"instances/{split}/{name}.png", labels(5, index).astype(np.uint16))


def labels(classes: int, shift: int = 0) -> np.ndarray:
    """Return a map in which every class occurs."""
    return ((np.arange(SIZE[0] * SIZE[1]) + shift) % classes).reshape(SIZE).astype(np.uint8)
