"""PASCAL-Context: the images of PASCAL VOC 2010 with 59 classes of things and stuff on every pixel.

Source: https://cs.stanford.edu/~roozbeh/pascal-context/
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from densepred.dataset import mat_map, official, paths
from densepred.dataset.class_tables import PASCAL_CONTEXT as CLASSES
from densepred.dataset.class_tables import PASCAL_CONTEXT_NUMBERS as NUMBERS
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.labels import Labels
from densepred.dataset.palette import voc_palette
from densepred.errors import UserError
from densepred.types import VOID, Annotation, Frame, Sample

ALL = 460
ALIASES = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}
"""Other spellings, in 59_labels.txt."""
OFFICIAL, NAMES = "59_context_labels", "59_labels.txt"
SPLITS = {"train": "train", "valid": "val", "test": "val"}  # the labels of test are not public


class PascalContext(official.OfficialMasks):
    """`root` is VOC2010, which holds JPEGImages and, in the first of `masks` that exists, PNG or .mat files.

    PNG files number the classes from 1 in the order of the alphabet, as conversions do, or in that of the file
    `names`. The rest is the background: a class of its own, or void with `background=false`.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: Mapping[str, str] | None = None,
        masks: paths.Patterns = ("SegmentationClassContext", OFFICIAL, "trainval"),
        lists: paths.Patterns = ("ImageSets/SegmentationContext/{split}.txt", "ImageSets/Main/{split}.txt"),
        names: str | None = None,
        background: bool = True,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        folder, name = paths.dataset_root(root), paths.name_of_split(splits, SPLITS, split)
        with official.recognised(folder, "pascal_context"):
            place, path = paths.find(root, masks, [name], "masks")[0], paths.find(root, lists, [name], "lists")[0]
        mat = next(place.glob("*.mat"), None) is not None
        pairs = official.listed(path, folder / "JPEGImages", place, ".mat" if mat else ".png")
        names = NAMES if names is None and place.name == OFFICIAL else names
        values = NUMBERS if mat else _order(None if names is None else folder / names)
        rest = 0 if background else VOID
        ids = dict.fromkeys(range(ALL if mat else 1), rest)
        ids |= {value: index for index, value in enumerate(values, int(background))}
        classes = (*(["background"] if background else []), *CLASSES)
        palette = voc_palette(len(CLASSES) + 1)[not background :]
        self._labels = Labels(classes, ids)
        self._open(pairs, self._labels, palette, max_pixels)

    def __getitem__(self, index: int) -> Sample:
        pair = self.pairs[index]
        if pair.mask is None or pair.mask.suffix != ".mat":
            return super().__getitem__(index)
        labels = self._labels.encode(mat_map.read(pair.mask, "LabelMap", self._read.max_pixels), pair.mask)
        truth = Annotation((labels.shape[0], labels.shape[1]), labels)
        return Sample(self._read.image(pair.image, truth, f"the mask {pair.mask}"), truth, Frame(pair.id, truth.size))


def _order(path: Path | None) -> list[int]:
    """Return the value of each class in PNG files: its place, or its number in a file of lines `number: name`."""
    if path is None:
        return list(range(1, len(CLASSES) + 1))
    if not path.is_file():
        raise UserError(f"{path}: is missing; it numbers the classes of {OFFICIAL}: copy it from the archive")
    rows = [line.replace(" ", "").partition(":") for _, line in official.lines(path)]
    found = {ALIASES.get(name, name): int(number) for number, _, name in rows if number.isdecimal()}
    if sorted(found) != list(CLASSES) or sorted(found.values()) != list(range(1, len(CLASSES) + 1)):
        raise UserError(f"{path}: is no list of the {len(CLASSES)} classes as `1: aeroplane`; copy it from the archive")
    return [found[name] for name in CLASSES]
