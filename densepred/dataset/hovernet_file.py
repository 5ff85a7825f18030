"""Maps of instances and types in HoVer-Net's files: .mat beside an image, or a patch that holds all."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from densepred.dataset import mat_map
from densepred.dataset.image_file import load_npy
from densepred.dataset.intensity import whole_bytes
from densepred.dataset.pairs import Pair
from densepred.errors import UserError

COLOURS, INSTANCES, TYPES = slice(0, 3), 3, 4  # channels of a patch
TYPELESS = "without types, set dataset.types=null"


def read(pair: Pair, typed: bool, max_pixels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the instances and the types (H, W) int64, and a patch's colours (H, W, 3) uint8.

    Without `typed` all instances have the type 1. Raises UserError if the file is damaged or of another form.
    """
    if pair.mask is None:
        return _split(_patch(pair.image, TYPES + typed, max_pixels), pair.image, typed)
    ids = mat_map.read(pair.mask, "inst_map", max_pixels)
    types = mat_map.read(pair.mask, "type_map", max_pixels, TYPELESS) if typed else _untyped(ids)
    return ids, types, None


def _untyped(ids: np.ndarray) -> np.ndarray:
    return (ids > 0).astype(np.int64)


def _split(patch: np.ndarray, path: Path, typed: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the channels of a patch: instances, types and colours."""
    ids = mat_map.whole(patch[..., INSTANCES], f"{path}: channel {INSTANCES}")
    types = mat_map.whole(patch[..., TYPES], f"{path}: channel {TYPES}") if typed else _untyped(ids)
    return ids, types, whole_bytes(patch[..., COLOURS], f"{path}: one of its first three channels")


def _patch(path: Path, needed: int, max_pixels: int) -> np.ndarray:
    """Return a patch (H, W, 5), or (H, W, 4) without types."""
    patch = load_npy(path, max_pixels)
    if patch.ndim != 3 or patch.shape[2] not in (needed, TYPES + 1) or patch.dtype.kind not in "iuf":
        raise UserError(f"{path}: is {patch.dtype} {patch.shape}; (H, W, {needed}) numbers are expected; {TYPELESS}")
    return patch
