"""Grey images and maps of two classes, in folders per split."""

from __future__ import annotations

from pathlib import Path

from tests.dataset.files import picture, write
from tests.dataset.folder_tree import SIZE, labels


def tree(root: Path, split: str) -> None:
    """Draw two images of a split with their masks."""
    for index, name in enumerate("ab"):
        write(root / f"images/{split}/{name}.png", picture(SIZE)[..., 0])
        write(root / f"masks/{split}/{name}.png", labels(2, index))
