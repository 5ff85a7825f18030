"""ADE20K of the 2016 scene parsing challenge, 150 classes, in its official tree.

Source: http://sceneparsing.csail.mit.edu
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from densepred.dataset import official, paths
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.image_header import white
from densepred.dataset.labels import Labels
from densepred.dataset.pairs import pair_folders
from densepred.dataset.palette import default_palette
from densepred.errors import UserError, shown
from densepred.types import VOID

COUNT = 150
SPLITS = {"train": "training", "valid": "validation", "test": "validation"}  # the labels of test are not public


class Ade20k(official.OfficialMasks):
    """`root` is ADEChallengeData2016; `splits` names folders in its images and annotations.

    The value 0 in masks is unlabelled, which is void. The values 1 to 150 are the classes 0 to 149, named in the file
    `names`, of which the first synonym counts; None numbers them.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: Mapping[str, str] | None = None,
        names: str | None = "objectInfo150.txt",
        max_value: int | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        folder, name = paths.dataset_root(root), paths.name_of_split(splits, SPLITS, split)
        with official.recognised(folder, "ade20k"):
            remedy = "set dataset.root to the folder ADEChallengeData2016, which holds images and annotations"
            images = official.there(folder / "images" / name, remedy)
            pairs = pair_folders(images, official.there(folder / "annotations" / name, remedy))
        classes = tuple(f"class_{i}" for i in range(1, COUNT + 1)) if names is None else read_names(folder / names)
        labels = Labels(classes, {0: VOID, **{value: value - 1 for value in range(1, COUNT + 1)}})
        bright = white([pair.image for pair in pairs], max_value, max_pixels)
        self._open(pairs, labels, default_palette(COUNT), max_pixels, bright)


def read_names(path: Path) -> tuple[str, ...]:
    """Return the first synonym of each class, or all of them where two classes share the first; raise UserError.

    The columns of the file are separated by tabs: the number of the class comes first, its synonyms last.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: is missing; copy it from the archive, or type dataset.names=null for class_1, class_2"
        )
    found = dict[str, str]()
    for number, line in official.lines(path):
        cells = [cell.strip() for cell in line.split("\t")]
        if cells[0].isdecimal() and cells[-1]:
            found[cells[0]] = cells[-1]
        elif number > 1:
            raise UserError(f"{path}: line {number} is {shown(line)}, no number and name; copy it from the archive")
    if list(found) != [str(value) for value in range(1, COUNT + 1)]:
        raise UserError(f"{path}: numbers {len(found)} classes, not 1 to {COUNT} in order; copy it from the archive")
    first = [text.replace(";", ",").split(",")[0].strip() for text in found.values()]
    times = Counter(first)
    return tuple(name if times[name] == 1 else text for name, text in zip(first, found.values(), strict=True))
