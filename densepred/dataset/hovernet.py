"""Nuclei in the forms of HoVer-Net: images with .mat files as in CoNSeP, or patches of images and labels as .npy.

Source: https://warwick.ac.uk/fac/cross_fac/tia/data/hovernet/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from densepred.dataset import hovernet_file, nuclei_types, official, paths
from densepred.dataset.image import from_array
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.listing import LeftOut, image_files
from densepred.dataset.pairs import Pair
from densepred.dataset.reader import Reader
from densepred.types import Frame, Sample

CONSEP = ("miscellaneous", "inflammatory", "healthy epithelial", "malignant epithelial", "fibroblast", "muscle")
CONSEP += ("endothelial",)
SPLITS = {"train": "Train", "valid": "Train", "test": "Test"}


class HoverNet(official.OfficialPairs):
    """`labels` holds .mat files with `inst_map` and `type_map`; if it is absent, `patches` holds .npy files (H, W, 5).

    `types` names the types 1, 2, ...; equal names are one class. None: one class, and types are not read.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: Mapping[str, str] | None = None,
        images: str = "{split}/Images",
        labels: str = "{split}/Labels",
        patches: str = "{split}",
        types: Sequence[str] | None = CONSEP,
        held_out: float = 0.2,
        seed: int = 0,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        folder, name = paths.dataset_root(root), paths.name_of_split(splits, SPLITS, split)
        maps = paths.below(folder, labels, name)
        with official.recognised(folder, "hovernet"):
            remedy = "set dataset.root to the folder that holds Train and Test"
            pattern = images if maps.is_dir() else patches
            place = official.there(paths.below(folder, pattern, name), remedy)
        if split == "test" and "{split}" not in pattern:
            fact = f"{place}: holds the images of training, too"
            raise paths.Absent(f"{fact}; name others by {{split}} in dataset.images")
        left_out = LeftOut()
        pairs = [self._pair(file, place, maps) for file in image_files(place, left_out=left_out)]
        left_out.tell(place)
        official.complete(pairs, str(place))
        hovernet_file.tell_lone(maps, pairs)
        self.pairs = official.held_out(pairs, paths.known_splits(splits, SPLITS), split, held_out, seed)
        classes, self._classes = nuclei_types.numbered(("nucleus",) if types is None else types)
        self.info = nuclei_types.info(classes, "stored")
        self._typed, self._read = types is not None, Reader(None, 3, max_pixels, "stored")

    def identity(self, index: int) -> tuple[int | str | None, str]:
        return None, self.pairs[index].id

    def __getitem__(self, index: int) -> Sample:
        pair = self.pairs[index]
        ids, types, colours = hovernet_file.read(pair, self._typed, self._read.max_pixels)
        where = str(pair.mask or pair.image)
        truth = nuclei_types.annotate(ids, types, self._classes, where)
        if colours is None:
            image = self._read.image(pair.image, truth, f"the map {where}")
        else:
            image = from_array(colours, 3, name=where)
        return Sample(image, truth, Frame(pair.id, truth.size))

    def _pair(self, file: Path, place: Path, maps: Path) -> Pair:
        name = file.relative_to(place).with_suffix("")
        return Pair(name.as_posix(), file, maps / f"{name}.mat" if maps.is_dir() else None)
