"""PanNuke's arrays, with three patches per fold."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.dataset.files import RANDOM

SPLITS = ("fold1", "fold2", "fold3")
SIZE = (32, 32)


def masks() -> np.ndarray:
    """Return two neoplastic nuclei, an inflammatory one that covers part of the second, and an epithelial one."""
    layers = np.zeros((*SIZE, 6))
    layers[2:10, 2:10, 0] = 4
    layers[2:10, 16:24, 0] = 9
    layers[6:14, 16:24, 1] = 4
    layers[20:28, 4:12, 4] = 1
    layers[..., 5] = layers[..., :5].max(-1) == 0
    return layers


def tree(root: Path, split: str) -> None:
    place = root / f"Fold {split[-1]}"
    for kind in ("images", "masks"):
        (place / kind / split).mkdir(parents=True)
    np.save(place / f"images/{split}/images.npy", RANDOM.integers(0, 256, (3, *SIZE, 3)).astype(np.float64))
    np.save(place / f"images/{split}/types.npy", np.array(["Breast", "Colon", "Breast"]))
    np.save(place / f"masks/{split}/masks.npy", np.stack([masks()] * 3))
