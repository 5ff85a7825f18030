"""Small images and masks for the tests of datasets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

RANDOM = np.random.default_rng(0)


def write(path: Path, values: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)


def mask(size: tuple[int, int] = (7, 9), classes: int = 3) -> np.ndarray:
    values = RANDOM.integers(0, classes, size).astype(np.uint8)
    values.flat[:classes] = range(classes)
    return values


def picture(size: tuple[int, int] = (7, 9)) -> np.ndarray:
    return RANDOM.integers(0, 256, (*size, 3), dtype=np.uint8)


def stored(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.array(Image.open(path)))
