"""The official tree of Cityscapes, one image per split, with maps of classes and of instances."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.dataset.files import picture, write
from tests.dataset.folder_tree import SIZE, labels


def tree(root: Path, split: str) -> None:
    """Draw one image of a split and its two maps."""
    write(root / f"leftImg8bit/{split}/ulm/ulm_0_leftImg8bit.png", picture(SIZE))
    write(root / f"gtFine/{split}/ulm/ulm_0_gtFine_labelIds.png", labels(34))
    write(root / f"gtFine/{split}/ulm/ulm_0_gtFine_instanceIds.png", labels(34).astype(np.uint16))
