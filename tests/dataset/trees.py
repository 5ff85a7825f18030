"""Small trees for every option of configs/dataset, found by name.

tests/dataset/coco_panoptic_tree.py draws what `dataset=coco_panoptic` reads, or coco_tree.py if there is no such file.
Otherwise folder_tree.py does. Such a file has `tree(root, split)`, and `SPLITS` unless they are train, val and test.
"""

from __future__ import annotations

import importlib
from pathlib import Path

FOLDER = Path(__file__).parent


def draw(option: str, root: Path) -> None:
    """Draw the tree that an option reads."""
    module = importlib.import_module(f"tests.dataset.{tree_of(option)}_tree")
    for split in getattr(module, "SPLITS", ("train", "val", "test")):
        module.tree(root, split)


def tree_of(option: str) -> str:
    """Return the longest beginning of the option's name, by words, for which a tree is drawn."""
    parts = option.split("_")
    names = ("_".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((name for name in names if (FOLDER / f"{name}_tree.py").exists()), "folder")
