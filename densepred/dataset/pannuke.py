"""PanNuke: nuclei of five types in patches of 19 tissues, in the official arrays of three folds.

Source: https://warwick.ac.uk/fac/cross_fac/tia/data/pannuke
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from densepred.contracts import Dataset
from densepred.dataset import mat_map, nuclei_types, official, paths
from densepred.dataset.image import from_array
from densepred.dataset.image_file import MAX_PIXELS, check_pixels, map_npy
from densepred.dataset.intensity import whole_bytes
from densepred.dataset.palette import default_palette
from densepred.errors import UserError
from densepred.types import Frame, Info, Sample

TYPES = ("neoplastic", "inflammatory", "connective", "dead", "epithelial")
SPLITS = {"train": "fold1", "valid": "fold2", "test": "fold3"}
NAMED = "'dataset.splits={train: fold1, valid: fold2, test: fold3}'"
CHANNELS = 6  # of the masks: one map of instances per type, and the background


class PanNuke(Dataset):
    """`root` holds `Fold 1/images/fold1/images.npy` and `Fold 1/masks/fold1/masks.npy`, or both files in `fold1`.

    Each fold may lie in a further folder. The types of tissue are not read.

    The arrays are mapped from disk, not loaded. Where nuclei of two types overlap, the later type counts.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: Mapping[str, str] | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        folder, self._fold = paths.dataset_root(root), paths.name_of_split(splits, SPLITS, split)
        with official.recognised(folder, "pannuke"):
            self._images = _find(folder, self._fold, "images")
            self._masks = _find(folder, self._fold, "masks")
        images, masks = map_npy(self._images), map_npy(self._masks)
        fits = images.ndim == 4 and images.shape[3] == 3 and masks.shape == (*images.shape[:3], CHANNELS)
        if not fits or 0 in masks.shape or {images.dtype.kind, masks.dtype.kind} - {*"iuf"}:
            text = f"is {images.dtype} {images.shape} and {self._masks.name} {masks.dtype} {masks.shape}"
            raise UserError(f"{self._images}: {text}; give arrays (N, height, width, 3) and (N, height, width, 6)")
        check_pixels(self._images, images.shape[1], images.shape[2], max_pixels)
        self._count = len(images)
        classes = (nuclei_types.BACKGROUND, *TYPES)
        things = tuple(range(1, len(classes)))
        self.info = Info(classes, things, default_palette(len(classes)), provides=nuclei_types.PROVIDED)

    def __len__(self) -> int:
        return self._count

    def identity(self, index: int) -> tuple[int | str | None, str]:
        return None, f"{self._fold}/{index:04d}"

    def __getitem__(self, index: int) -> Sample:
        where = f"{self._masks}: image {index}"
        pixels = np.asarray(map_npy(self._images)[index])  # opened here, because a map cannot pass to another process
        image = from_array(whole_bytes(pixels, f"{self._images}: image {index}"), 3, name=str(self._images))
        layers = mat_map.whole(np.asarray(map_npy(self._masks)[index])[..., : len(TYPES)], where)
        ids, types, first = np.zeros(layers.shape[:2], np.int64), np.zeros(layers.shape[:2], np.int64), 0
        for kind in range(len(TYPES)):
            layer = layers[..., kind]
            ids = np.where(layer > 0, layer + first, ids)
            types = np.where(layer > 0, kind + 1, types)
            first += int(layer.max())
        truth = nuclei_types.annotate(ids, types, range(1, len(TYPES) + 1), where)
        return Sample(image, truth, Frame(self.identity(index)[1], truth.size))


def _find(root: Path, fold: str, kind: str) -> Path:
    """Return the file of images or masks of a fold, or raise Absent."""
    places = [*root.glob(f"*/{kind}/fold*"), *root.glob(f"*/*/{kind}/fold*")]
    for folder in (root / fold, *(place for place in sorted(places) if place.name == fold), root / kind / fold):
        if (path := folder / f"{kind}.npy").is_file():
            return path
    fact = f"{root}: holds no {kind}.npy of {fold}"
    if names := sorted({place.name for place in places}):
        raise paths.Unlisted(f"{fact}, only of {', '.join(names)}; add it, or name others, as by {NAMED}")
    raise paths.Absent(f"{fact}; set dataset.root to the folder of the folds")
