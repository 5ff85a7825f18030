"""Cityscapes with fine annotations, in its official tree.

Source: https://github.com/mcordts/cityscapesScripts
"""

from __future__ import annotations

from collections.abc import Mapping

from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.image_header import white
from densepred.dataset.labels import Labels
from densepred.dataset.official import OfficialMasks
from densepred.dataset.pairs import Pair, pair_folders
from densepred.dataset.paths import dataset_root, name_of_split
from densepred.errors import UserError
from densepred.types import VOID

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


class Cityscapes(OfficialMasks):
    """`root` holds leftImg8bit/<split>/<city> and gtFine/<split>/<city>."""

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: Mapping[str, str] | None = None,
        max_value: int | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        found = pairs(root, splits, split, _MASK)
        classes = tuple(name for name, _, _ in LABELS)
        train_ids = dict.fromkeys(range(IDS), VOID) | {value: index for index, (_, value, _) in enumerate(LABELS)}
        palette = tuple(colour for _, _, colour in LABELS)
        bright = white([pair.image for pair in found], max_value, max_pixels)
        self._open(found, Labels(classes, train_ids), palette, max_pixels, bright)


def pairs(root: str, splits: Mapping[str, str] | None, split: str, suffix: str) -> list[Pair]:
    """Return the images of a split with the label files that end in `suffix`."""
    folder, name = dataset_root(root), name_of_split(splits, SPLITS, split)
    images, place = folder / "leftImg8bit" / name, folder / "gtFine" / name
    if images.is_dir() and place.is_dir() and next(place.rglob(f"*{suffix}.*"), None) is None:
        raise UserError(f"{place}: holds no *{suffix}.png; download them again, in gtFine_trainvaltest.zip")
    return pair_folders(images, place, suffix, image_suffix=_IMAGE)
