"""PASCAL VOC 2012 segmentation, in its official tree.

Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/
"""

from __future__ import annotations

from collections.abc import Mapping

from densepred.dataset import official
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.labels import Labels
from densepred.dataset.palette import voc_palette
from densepred.dataset.paths import below, dataset_root, name_of_split, split_word
from densepred.types import VOID

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

BORDER = (224, 224, 192)  # the colour of void, in masks that a program saved as RGB
SPLITS = {"train": "train", "valid": "val", "test": "val"}  # the labels of test are not public


class Voc(official.OfficialMasks):
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
        with official.recognised(folder, "voc"):
            if not path.is_file():
                raise official.missing_list(path, split_word(split))
        pairs = official.listed(path, folder / "JPEGImages", below(folder, masks, name))
        identity = {value: value for value in (*range(len(CLASSES)), VOID)}
        palette = voc_palette(len(CLASSES))
        colours = {colour: value for value, colour in enumerate(palette)} | {BORDER: VOID}
        self._open(pairs, Labels(CLASSES, identity, colours), palette, max_pixels)
