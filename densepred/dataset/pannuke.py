"""PanNuke: nuclei of five types in patches of 19 tissues, in the official arrays of three folds.

Source: https://warwick.ac.uk/fac/cross_fac/tia/data/pannuke
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from densepred.contracts import Dataset
from densepred.dataset import mat_map, nuclei_types, official, pannuke_file, paths
from densepred.dataset.image import from_array
from densepred.dataset.image_file import MAX_PIXELS, map_npy
from densepred.dataset.intensity import whole_bytes
from densepred.types import Frame, Sample

TYPES = ("neoplastic", "inflammatory", "connective", "dead", "epithelial")
SPLITS = {"train": "fold1", "valid": "fold2", "test": "fold3"}


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
            self._images = pannuke_file.find(folder, self._fold, "images")
            self._masks = pannuke_file.find(folder, self._fold, "masks")
        self._count = pannuke_file.count(self._images, self._masks, max_pixels)
        self.info = nuclei_types.info((nuclei_types.BACKGROUND, *TYPES))

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
