"""Instances with a type each, from a map of instances and a map of types: the form of data sets of nuclei."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from densepred.dataset import id_map
from densepred.dataset.palette import default_palette
from densepred.errors import UserError
from densepred.types import VOID, Annotation, Info

BACKGROUND = "background"


def annotate(ids: np.ndarray, types: np.ndarray, classes: Sequence[int], where: str) -> Annotation:
    """Return the annotation of instances, each of the type that most of its pixels have; void if none has a type.

    ids: (H, W), integers of 0 or more; 0 is the background
    types: (H, W), integers; 0 is no type
    classes: of the types 1, 2, ...

    Raises UserError, beginning with `where`, if the sizes differ, or if a type is higher.
    """
    if ids.shape != types.shape:
        raise UserError(f"{where}: the map of instances is {ids.shape}, that of types {types.shape}; correct them")
    count = len(classes) + 1
    if int(types.max()) >= count:
        raise UserError(
            f"{where}: holds the type {types.max()}, but {len(classes)} are named; name all in dataset.types"
        )
    found, places = id_map.distinct(ids)
    pixels = np.bincount((places.astype(np.int64) * count + types).reshape(-1), minlength=len(found) * count)
    pixels = pixels.reshape(len(found), count)[:, 1:]
    kinds = np.where(pixels.any(1), np.array(classes)[pixels.argmax(1)], VOID)
    kinds[found == 0] = 0
    return id_map.annotate(ids, lambda _: (kinds, np.zeros(len(found), bool)), range(1, max(classes) + 1))


def numbered(names: Sequence[str]) -> tuple[tuple[str, ...], list[int]]:
    """Return the classes, background first, and the class of each type; types of one name are one class."""
    texts = [str(name) for name in names]
    kinds = list(dict.fromkeys(texts))
    if not kinds or BACKGROUND in kinds:
        raise UserError(f"dataset.types: {texts}; give the name of each type from 1, without the background")
    return (BACKGROUND, *kinds), [kinds.index(name) + 1 for name in texts]


def info(classes: Sequence[str], exif: str = "auto") -> Info:
    """Return the description of a dataset of nuclei; class 0 is the background, all others are things."""
    things = tuple(range(1, len(classes)))
    return Info(tuple(classes), things, default_palette(len(classes)), provides=id_map.PROVIDED, exif=exif)
