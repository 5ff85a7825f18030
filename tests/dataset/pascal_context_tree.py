"""PASCAL-Context beside VOC 2010's images, in the three forms in which it is passed on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import savemat

from densepred.dataset.class_tables import PASCAL_CONTEXT, PASCAL_CONTEXT_NUMBERS
from tests.dataset.files import picture, write

SPLITS = ("train", "val")
SIZE = (8, 9)
PLACES = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE) % 60
"""The classes 0 (background) to 59 in the order of the alphabet."""


def listed(root: Path, split: str, folder: str) -> str:
    """Write the list and the image of a split, and return its name."""
    name = f"2008_00000{len(split)}"
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / folder / f"{split}.txt").write_text(f"{name}\n")
    write(root / f"JPEGImages/{name}.jpg", picture(SIZE))
    return name


def tree(root: Path, split: str) -> None:
    """Write PNG files as conversions do, in the order of the alphabet."""
    name = listed(root, split, "ImageSets/SegmentationContext")
    write(root / f"SegmentationClassContext/{name}.png", PLACES.astype(np.uint8))


def official(root: Path, split: str) -> None:
    """Write the PNG files of the archive, in the order of 59_labels.txt, here from the end of the alphabet."""
    name = listed(root, split, "ImageSets/Main")
    names = [{"table": "diningtable", "bedclothes": "bedcloth", "cloth": "clothes"}.get(c, c) for c in PASCAL_CONTEXT]
    (root / "59_labels.txt").write_text("".join(f"{i}: {c}\n" for i, c in enumerate(reversed(names), 1)))
    write(root / f"59_context_labels/{name}.png", np.where(PLACES > 0, 60 - PLACES, 0).astype(np.uint8))


def matlab(root: Path, split: str) -> None:
    """Write the .mat files of the archive, with the numbers of 459 classes; 0 and 457 are none of the 59."""
    name = listed(root, split, "ImageSets/Main")
    numbers = np.array([457, *PASCAL_CONTEXT_NUMBERS])
    (root / "trainval").mkdir(exist_ok=True)
    savemat(root / f"trainval/{name}.mat", {"LabelMap": numbers[PLACES].astype(np.uint16)}, do_compression=True)
