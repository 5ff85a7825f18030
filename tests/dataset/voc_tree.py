"""The official tree of PASCAL VOC, one image per split."""

from __future__ import annotations

from pathlib import Path

from tests.dataset.files import picture, write
from tests.dataset.folder_tree import SIZE, labels


def tree(root: Path, split: str) -> None:
    """Draw the list, the image and the mask of a split."""
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True, exist_ok=True)
    (lists / f"{split}.txt").write_text(f"{split}\n")
    write(root / f"JPEGImages/{split}.jpg", picture(SIZE))
    write(root / f"SegmentationClass/{split}.png", labels(21))
