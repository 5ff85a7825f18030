"""Images and masks in folders or in a list: the arguments and the search for files that such datasets share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from densepred.contracts import Dataset
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.image_header import describe, measure_white, read_headers
from densepred.dataset.pairs import Pair, divide, pair_folders, read_list
from densepred.dataset.paths import dataset_root, of_split
from densepred.dataset.reader import statistics
from densepred.types import Info, UserError

Pairs = list[Pair]

SPLITS: Mapping[str, str | float] = {"train": "train", "valid": "val", "test": "test"}


@dataclass(eq=False)
class PairedFolder(Dataset):
    """`images` and `masks` are folders within `root`; {split} in them is the folder that `splits` names.

    If `splits` holds fractions, one folder is divided at random by `seed`, and equal `group`s stay together.
    A subclass adds how masks are read, and sets `pairs` and `info`.
    """

    root: str
    split: str = "train"
    splits: Mapping[str, str | float] | None = None
    images: str = "images/{split}"
    masks: str | None = "masks/{split}"
    mask_suffix: str = ""
    list: str | None = None  # a CSV file instead of folders
    channels: int | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    max_value: int | None = None
    exif: str = "auto"
    seed: int = 0
    group: str | None = None
    max_pixels: int = MAX_PIXELS

    def __len__(self) -> int:
        return len(self.pairs)

    def find_pairs(self) -> Pairs:
        """Set `pairs` to those of the split. Return those of training, or of the split if there is no training.

        Classes and statistics come from the pairs returned, so that they do not depend on the split.
        """
        self._root = dataset_root(self.root)
        self.pairs = self._pairs(self.split)
        return self._pairs("train") if self.split != "train" and self._has_training() else self.pairs

    def with_statistics(self, labels: Info, train: Pairs) -> Info:
        """Return `labels` with the channels, white, mean and std that are set, or else measured in `train`."""
        headers = read_headers([pair.image for pair in train], self.max_pixels, strict=self.channels is None)
        if self.max_value is not None and self.max_value < 1:
            raise UserError(f"dataset.max_value: {self.max_value}; give the integer that is white, such as 4095")
        channels = max(header.channels for header in headers) if self.channels is None else self.channels
        white = measure_white(headers, self.max_pixels) if self.max_value is None else self.max_value
        mean, std = self.mean, self.std
        if mean is None or std is None:
            measured = statistics(train, channels, self.max_pixels, white)
            mean, std = measured[0] if mean is None else mean, measured[1] if std is None else std
        info = replace(labels, channels=channels, mean=tuple(mean), std=tuple(std), max_value=white)
        self._images = describe(headers, info)
        return info

    def images_line(self) -> str:
        return self._images

    def _pairs(self, split: str) -> Pairs:
        splits = dict(self.splits or SPLITS)
        fractions = {name: float(part) for name, part in splits.items() if isinstance(part, int | float)}
        name = of_split(fractions or splits, split)
        folder = "" if fractions else str(name)
        pairs = self._from_folders(folder) if self.list is None else self._from_list(self.list, split, folder)
        return divide(pairs, fractions, self.seed, self.group)[split] if fractions else pairs

    def _has_training(self) -> bool:
        """Look for the files of training; a dataset may hold test images alone."""
        splits = self.splits or SPLITS
        if "train" not in splits:
            return False
        folder = "" if any(isinstance(part, int | float) for part in splits.values()) else str(splits["train"])
        if self.list is not None:
            return (self._root / self.list.replace("{split}", folder)).is_file()
        return (self._root / self.images.replace("{split}", folder)).is_dir()

    def _from_folders(self, folder: str) -> Pairs:
        masks = None if self.masks is None else self._root / self.masks.replace("{split}", folder)
        return pair_folders(self._root / self.images.replace("{split}", folder), masks, self.mask_suffix)

    def _from_list(self, name: str, split: str, folder: str) -> Pairs:
        """Read one file per split, or one file with a column `split`, or one file that is to be divided."""
        path = self._root / name.replace("{split}", folder)
        rows = read_list(path, self._root, self.masks is not None)
        if "{split}" in name or not folder:
            return [pair for pair, _ in rows]
        if rows[0][1] is None:
            raise UserError(
                f"{path}: has no column `split`; add one, or put {{split}} into dataset.list, "
                "or give fractions in dataset.splits"
            )
        pairs = [pair for pair, column in rows if column in (folder, split)]
        if not pairs:
            raise UserError(f"{path}: no line has the split {folder!r}; correct the column or dataset.splits.{split}")
        return pairs
