"""Image files of a conversion, without loss: PNG where it can hold the values, else a copy of the source."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from densepred.dataset import channel_files
from densepred.dataset.image import read_image
from densepred.dataset.intensity import White, white_in
from densepred.dataset.paths import inside
from densepred.errors import UserError, shown
from densepred.types import WHITE, Info


def place_of(id: str, split: str) -> str:
    """Return the path of a sample below the folder of its split, without extension.

    Raises UserError if the id leads out of that folder.
    """
    name = id.removeprefix(f"{split}/")
    inside(Path("images"), name, f"sample {shown(id)}")
    return name


def write(image: Tensor, place: Path, source: Path | None, info: Info, max_pixels: int) -> Path:
    """Write an image (C, H, W), uint8 or float32 in [0, 1], and return its file: `place` with an extension.

    8 bits in one or three channels become a PNG as the dataset reads them, upright. 16 bits in one channel become a PNG
    of the same integers. Bands that were picked from a file, and channels of several files, become an array (.npy).
    Other images are copied from `source`, if that reads as the same image. Raises UserError if no file holds the image
    without loss.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    path = place.with_name(f"{place.name}.png")
    values = image.permute(1, 2, 0).numpy()
    max_value = white_in(info)
    white = WHITE if isinstance(max_value, Sequence) else max_value or WHITE
    if image.dtype == torch.uint8 and len(image) in (1, 3):
        Image.fromarray(np.ascontiguousarray(values.squeeze(2) if len(image) == 1 else values)).save(path)
        return path
    if image.dtype != torch.uint8 and len(image) == 1 and white <= WHITE:
        Image.fromarray(np.rint(values[..., 0].astype(np.float64) * white).astype(np.uint16)).save(path)
        if torch.equal(read_image(path, 1, max_pixels, max_value=max_value), image):
            return path
        path.unlink()
    if info.bands or (source is not None and channel_files.of(source)):
        path = place.with_name(f"{place.name}.npy")
        np.save(path, np.ascontiguousarray(values), allow_pickle=False)
        return path
    return _copied(image, place, source, max_value, max_pixels)


def _copied(image: Tensor, place: Path, source: Path | None, max_value: White, max_pixels: int) -> Path:
    kind = "8 bits" if image.dtype == torch.uint8 else "floats"
    fact = f"{place.name}: {len(image)} channels of {kind} fit no PNG"
    if source is None:
        raise UserError(f"{fact}, and the dataset has no file to copy; choose 1 or 3 channels by dataset.channels")
    path = place.with_name(f"{place.name}{source.suffix}")
    shutil.copyfile(source, path)
    if not torch.equal(read_image(path, len(image), max_pixels, max_value=max_value), image):
        raise UserError(f"{fact}, and {source} alone does not hold this image; choose 1 or 3 channels")
    return path
