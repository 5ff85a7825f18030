"""Cityscapes with fine annotations, in its official tree.

Source: https://github.com/mcordts/cityscapesScripts
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from densepred.contracts import Dataset
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.image_header import describe_files, white
from densepred.dataset.labels import Labels
from densepred.dataset.pairs import Pair, pair_folders
from densepred.dataset.paths import dataset_root, name_of_split
from densepred.dataset.reader import Reader
from densepred.types import VOID, Info, Sample

# Name, id in *_labelIds.png, colour; in the order of their train ids
LABELS = (
    ("road", 7, (128, 64, 128)),
    ("sidewalk", 8, (244, 35, 232)),
    ("building", 11, (70, 70, 70)),
    ("wall", 12, (102, 102, 156)),
    ("fence", 13, (190, 153, 153)),
    ("pole", 17, (153, 153, 153)),
    ("traffic light", 19, (250, 170, 30)),
    ("traffic sign", 20, (220, 220, 0)),
    ("vegetation", 21, (107, 142, 35)),
    ("terrain", 22, (152, 251, 152)),
    ("sky", 23, (70, 130, 180)),
    ("person", 24, (220, 20, 60)),
    ("rider", 25, (255, 0, 0)),
    ("car", 26, (0, 0, 142)),
    ("truck", 27, (0, 0, 70)),
    ("bus", 28, (0, 60, 100)),
    ("train", 31, (0, 80, 100)),
    ("motorcycle", 32, (0, 0, 230)),
    ("bicycle", 33, (119, 11, 32)),
)
IDS = 34  # ids 0 to 33; those that are not evaluated are void
_IMAGE, _MASK = "_leftImg8bit", "_gtFine_labelIds"
SPLITS = {"train": "train", "valid": "val", "test": "val"}  # the labels of test are not public


class Cityscapes(Dataset):
    """`root` holds leftImg8bit/<split>/<city> and gtFine/<split>/<city>."""

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: Mapping[str, str] | None = None,
        max_value: int | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.pairs: list[Pair] = pairs(root, splits, split, _MASK)
        classes = tuple(name for name, _, _ in LABELS)
        bright = white(self.files(), max_value, max_pixels)
        self.info = Info(classes=classes, palette=tuple(colour for _, _, colour in LABELS), max_value=bright)
        train_ids = dict.fromkeys(range(IDS), VOID) | {value: index for index, (_, value, _) in enumerate(LABELS)}
        self._read = Reader(Labels(classes, train_ids), 3, max_pixels, "stored", bright)

    def __len__(self) -> int:
        return len(self.pairs)

    def images_line(self) -> str:
        return describe_files([pair.image for pair in self.pairs], self.info, self._read.max_pixels)

    def files(self) -> Sequence[Path]:
        return [pair.image for pair in self.pairs]

    def __getitem__(self, index: int) -> Sample:
        return self._read(self.pairs[index])


def pairs(root: str, splits: Mapping[str, str] | None, split: str, suffix: str) -> list[Pair]:
    """Return the images of a split with the label files that end in `suffix`."""
    folder, name = dataset_root(root), name_of_split(splits, SPLITS, split)
    images, masks = folder / "leftImg8bit" / name, folder / "gtFine" / name
    return pair_folders(images, masks, suffix, image_suffix=_IMAGE)
