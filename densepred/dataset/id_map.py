"""From a map of ids to an annotation: which pixels belong to which instance, and to which class."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np
import scipy
import torch

from densepred.dataset.mask import read_mask_void
from densepred.ops.boxes import from_ids
from densepred.ops.regions.components import components
from densepred.types import VOID, Annotation, UserError

COUNTED = 1 << 20  # ids below this are counted, which is ten times as fast as sorting them

PROVIDED = ("semantic", "instances", "categories", "boxes", "areas", "crowd", "ignore")
"""Fields of an annotation that `annotate` fills."""

Classify = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Ids (N,) to the class of each (VOID where unknown) and to a mask of the crowds: groups that were not separated."""


def read_ids(path: Path, max_pixels: int) -> np.ndarray:
    """Return the ids (H, W) of a file of 1, 8, 16 or 32 bits, integers of 0 or more."""
    return read_ids_void(path, max_pixels)[0]


def read_ids_void(path: Path, max_pixels: int, kept: Collection[int] = (0,)) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the ids, and where the file has no data (GDAL_NODATA), (H, W) bool: 0, "none", is `kept` as an id."""
    ids, _, void = read_mask_void(path, max_pixels, kept)
    if ids.ndim == 3:
        if (ids != ids[..., :1]).any():
            raise UserError(f"{path}: the ids are coded by colours; save them as 16-bit grey PNG")
        ids = ids[..., 0]
    if int(ids.min()) < 0:
        raise UserError(f"{path}: holds the id {int(ids.min())}; ids are 0 (none) and above, so correct the map")
    return ids, void


def annotate(ids: np.ndarray, classify: Classify, things: Collection[int]) -> Annotation:
    """Return class map, instances in the order of their ids, boxes, areas, crowds and `ignore` of a map of ids.

    ids: (H, W), integers of 0 or more

    An id of a thing is one instance, even if its pixels are not connected. Other ids, 0 among them, give only a class.
    Void pixels are `ignore`: scores of instances do not read the class map.
    """
    found, places = distinct(ids)
    classes, crowd = classify(found)
    is_thing = np.isin(classes, list(things)) & (classes != VOID)
    numbers = (np.cumsum(is_thing) * is_thing).astype(np.int32)
    instances = torch.from_numpy(numbers[places])
    count = int(is_thing.sum())
    semantic = torch.from_numpy(classes.astype(np.uint8)[places])
    return Annotation(
        (ids.shape[0], ids.shape[1]),
        semantic=semantic,
        instances=instances,
        categories=torch.from_numpy(classes[is_thing].astype(np.int64)),
        boxes=from_ids.boxes(instances, count),
        areas=from_ids.areas(instances, count),
        crowd=torch.from_numpy(crowd[is_thing].astype(bool)),
        ignore=semantic == VOID,
    )


def distinct(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids that occur, ascending, and the index of each pixel's id among them.

    Equal to `numpy.unique` with `return_inverse`, but faster for small ids.
    """
    top = int(ids.max())
    if top >= COUNTED:
        found, places = np.unique(ids, return_inverse=True)
        return found.astype(np.int64), places.reshape(ids.shape)
    found = np.flatnonzero(np.bincount(ids.reshape(-1)))
    table = np.zeros(top + 1, np.int32)
    table[found] = np.arange(len(found))
    return found, table[ids]


def separate_parts(ids: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield each id of a map (H, W) and the number of its parts that touch neither by a side nor by a corner."""
    found, places = distinct(ids)
    for index, box in enumerate(scipy.ndimage.find_objects(places + 1)):
        yield int(found[index]), components(places[box] == index, 8)[1]
