"""Maps of instances and types in HoVer-Net's files: .mat beside an image, or a patch that holds all."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from densepred.dataset import mat_map
from densepred.dataset.facts import counted
from densepred.dataset.image_file import load_npy
from densepred.dataset.intensity import whole_bytes
from densepred.dataset.pairs import Pair
from densepred.errors import Notice, UserError

COLOURS, INSTANCES, TYPES = slice(0, 3), 3, 4  # channels of a patch
LISTS = (("inst_type", "inst_uid"), ("class", "id"))
"""Types and ids of instances in HoVer-Net's output, and in Lizard."""
TYPELESS = "without types, set dataset.types=null"


def read(pair: Pair, typed: bool, max_pixels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the instances and the types (H, W) int64, and a patch's colours (H, W, 3) uint8.

    Without `typed` all instances have the type 1. Raises UserError if the file is damaged or of another form.
    """
    if pair.mask is None:
        return _split(_patch(pair.image, TYPES + typed, max_pixels), pair.image, typed)
    ids = mat_map.read(pair.mask, "inst_map", max_pixels)
    return ids, _types(pair.mask, ids, max_pixels) if typed else _untyped(ids), None


def _types(path: Path, ids: np.ndarray, max_pixels: int) -> np.ndarray:
    """Return the type of each pixel: a map, or else a list of the types of instances beside one of their ids."""
    for kinds, numbers in LISTS:
        listed, known = mat_map.column(path, kinds), mat_map.column(path, numbers)
        if listed is None or known is None or mat_map.column(path, "type_map") is not None:
            continue
        if len(listed) != len(known):
            raise UserError(f"{path}: {kinds} has {len(listed)} entries and {numbers} {len(known)}; correct it")
        table = np.zeros(int(max(ids.max(), known.max(initial=0))) + 1, np.int64)
        table[known] = listed
        return table[ids]
    return mat_map.read(path, "type_map", max_pixels, TYPELESS)


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


def tell_lone(maps: Path, pairs: Sequence[Pair]) -> None:
    """Issue a notice for labels without an image."""
    if lone := sorted({*maps.rglob("*.mat")} - {pair.mask for pair in pairs}):
        text = f"{maps}: {counted(len(lone), '.mat files')} left out for want of an image ({lone[0].name})"
        warnings.warn(text, Notice, stacklevel=3)
