"""PASCAL VOC 2012 segmentation, in its official tree.

Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from densepred.contracts import Dataset
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.image_header import describe_files
from densepred.dataset.labels import Labels
from densepred.dataset.pairs import Pair
from densepred.dataset.palette import voc_palette
from densepred.dataset.paths import below, dataset_root, name_of_split
from densepred.dataset.reader import Reader
from densepred.types import VOID, Info, Sample, UserError

CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)

SPLITS = {"train": "train", "valid": "val", "test": "val"}  # the labels of test are not public


class Voc(Dataset):
    """`root` holds JPEGImages, SegmentationClass and ImageSets; `splits` names lists in ImageSets/Segmentation.

    With `masks=SegmentationClassAug` and a list of your own, it reads the 10582 images of SBD too.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: Mapping[str, str] | None = None,
        masks: str = "SegmentationClass",
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        folder, name = dataset_root(root), name_of_split(splits, SPLITS, split)
        path = folder / "ImageSets" / "Segmentation" / f"{name}.txt"
        if not path.is_file():
            raise UserError(f"{path}: is missing; set dataset.root to the folder VOC2012, which holds ImageSets")
        ids = path.read_text(encoding="utf-8").split()
        if not ids:
            raise UserError(f"{path}: lists no images; use the official list")
        self.pairs = [Pair(i, folder / "JPEGImages" / f"{i}.jpg", below(folder, masks, name) / f"{i}.png") for i in ids]
        self.info = Info(classes=CLASSES, palette=voc_palette(len(CLASSES)))
        identity = {value: value for value in (*range(len(CLASSES)), VOID)}
        self._read = Reader(Labels(CLASSES, identity), 3, max_pixels, "stored")

    def __len__(self) -> int:
        return len(self.pairs)

    def images_line(self) -> str:
        return describe_files([pair.image for pair in self.pairs], self.info, self._read.max_pixels)

    def files(self) -> Sequence[Path]:
        return [pair.image for pair in self.pairs]

    def __getitem__(self, index: int) -> Sample:
        return self._read(self.pairs[index])
