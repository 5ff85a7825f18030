"""YOLO's official form: images/train, labels/train and data.yaml; boxes in train, a polygon in the others too."""

from __future__ import annotations

from pathlib import Path

from tests.dataset.files import picture, write

SIZE = (20, 40)
DATA = "path: .\ntrain: images/train\nval: images/val\ntest: images/test\nnames:\n  0: cat\n  1: dog\n"


def tree(root: Path, split: str) -> None:
    """Write a cat of [10, 5, 20, 10] in image a; b is without objects."""
    for name in ("a", "b"):
        write(root / f"images/{split}/{name}.png", picture(SIZE))
    label(root, f"{split}/a", "0 0.5 0.5 0.5 0.5\n")
    (root / "data.yaml").write_text(DATA)


def label(root: Path, name: str, lines: str) -> None:
    path = root / f"labels/{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(lines)
