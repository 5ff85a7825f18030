"""CoNSeP in its official tree, and patches as HoVer-Net extracts them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import savemat

from tests.dataset.files import picture, write

SPLITS = ("Train", "Test")
IDS = np.array([[0, 3, 3, 0], [0, 3, 3, 7], [9, 0, 0, 7]]).repeat(8, 0).repeat(8, 1)
TYPES = np.where(IDS == 3, 4, np.where(IDS == 7, 2, np.where(IDS == 9, 7, 0)))


def maps() -> dict[str, np.ndarray]:
    """Return the variables of a file; some pixels of the nucleus 3 are of another type."""
    types = TYPES.copy()
    types[0, 8:12] = 3
    return {
        "inst_map": IDS.astype(float),
        "type_map": types.astype(float),
        "inst_type": np.array([[4.0], [2.0], [7.0]]),
    }


def tree(root: Path, split: str) -> None:
    for number in range(1, 11):
        write(root / f"{split}/Images/{split.lower()}_{number}.png", picture(IDS.shape))
        (root / f"{split}/Labels").mkdir(exist_ok=True)
        savemat(root / f"{split}/Labels/{split.lower()}_{number}.mat", maps(), do_compression=True)


def patches(root: Path, split: str, channels: int = 5) -> None:
    for number in range(1, 11):
        whole = np.dstack([picture(IDS.shape), IDS, TYPES])[..., :channels].astype(np.int32)
        path = root / f"{split}/{split}_{number}_000_001.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, whole)
