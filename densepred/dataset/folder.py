"""Images and masks in folders, or in a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from densepred.contracts import Dataset
from densepred.dataset import classes as legends
from densepred.dataset.listing import Pair, divide, pair_folders, read_list
from densepred.dataset.raster import MAX_PIXELS
from densepred.dataset.reader import EXIF, Reader, most_channels, statistics
from densepred.types import Info, Sample, UserError


class Folder(Dataset):
    """`images` and `masks` are folders within `root`; {split} in them is the folder that `splits` names.

    Where `splits` holds fractions, one folder is divided at random by `seed`, with equal `group`s kept together.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: Mapping[str, str | float] | None = None,
        images: str = "images/{split}",
        masks: str | None = "masks/{split}",
        mask_suffix: str = "",
        list: str | None = None,
        classes: Sequence[str] | int | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        ignore_index: int | None = None,
        label_map: Mapping[int, int] | None = None,
        channels: int | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        exif: str = "auto",
        seed: int = 0,
        group: str | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if exif not in EXIF:
            raise UserError(f"dataset.exif: {exif!r}; choose one of {', '.join(EXIF)}")
        self.root = Path(root).expanduser()
        if not self.root.is_dir():
            raise UserError(f"dataset.root: {root} is no folder (from {Path.cwd()}); give the folder of the dataset")
        self.images, self.masks, self.mask_suffix, self.list = images, masks, mask_suffix, list
        self.splits: dict[str, str | float] = dict(splits or {"train": "train", "valid": "val", "test": "test"})
        self.seed, self.group, self.max_pixels = seed, group, max_pixels
        self.pairs = self._find(split)

        # What the labels mean must not depend on the split that is asked for
        train = self._find("train") if split != "train" and self._has_train() else self.pairs
        legend = None if masks is None else self._legend(train, classes, palette, ignore_index, label_map)
        channels = most_channels(train, max_pixels) if channels is None else channels
        if mean is None or std is None:
            found = statistics(train, channels, max_pixels)
            mean, std = found[0] if mean is None else mean, found[1] if std is None else std
        self.info = Info(
            classes=() if legend is None else legend.labels.classes,
            palette=() if legend is None else legend.palette,
            channels=channels,
            mean=tuple(mean),
            std=tuple(std),
            provides=() if legend is None else ("semantic",),
        )
        self._read = Reader(None if legend is None else legend.labels, channels, max_pixels, exif)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        return self._read(self.pairs[index])

    def _has_train(self) -> bool:
        """Whether there is a training split; a folder with nothing but test images is fine."""
        if self.list is not None:
            return "train" in self.splits and (self.root / self.list.replace("{split}", self._place("train"))).is_file()
        return "train" in self.splits and (self.root / self.images.replace("{split}", self._place("train"))).is_dir()

    def _place(self, split: str) -> str:
        """What stands for {split}: nothing where one folder is divided by fractions."""
        divided = any(isinstance(part, int | float) for part in self.splits.values())
        return "" if divided else str(self.splits[split])

    def _find(self, split: str) -> list[Pair]:
        fractions = {name: float(part) for name, part in self.splits.items() if isinstance(part, int | float)}
        if split not in (fractions or self.splits):
            raise UserError(
                f"dataset.split: {split!r} is not in dataset.splits ({', '.join(fractions or self.splits)})"
            )
        place = self._place(split)
        pairs = self._from_list(split, place) if self.list is not None else self._from_folders(place)
        return divide(pairs, fractions, self.seed, self.group)[split] if fractions else pairs

    def _from_folders(self, place: str) -> list[Pair]:
        masks = None if self.masks is None else self.root / self.masks.replace("{split}", place)
        return pair_folders(self.root / self.images.replace("{split}", place), masks, self.mask_suffix)

    def _from_list(self, split: str, place: str) -> list[Pair]:
        """A file for each split, or one file with a column `split`, or one file to be divided."""
        assert self.list is not None
        path = self.root / self.list.replace("{split}", place)
        rows = read_list(path, self.root, self.masks is not None)
        if "{split}" in self.list or not place:
            return [pair for pair, _ in rows]
        if rows[0][1] is None:
            raise UserError(
                f"{path}: has no column `split`; add one, or put {{split}} into dataset.list, "
                "or give fractions in dataset.splits"
            )
        pairs = [pair for pair, column in rows if column in (place, split)]
        if not pairs:
            raise UserError(f"{path}: no line has the split {place!r}; correct the column or dataset.splits.{split}")
        return pairs

    def _legend(
        self,
        train: Sequence[Pair],
        classes: Sequence[str] | int | None,
        palette: Sequence[Sequence[int]] | None,
        ignore_index: int | None,
        label_map: Mapping[int, int] | None,
    ) -> legends.Legend:
        path, mapping = self.root / "classes.json", _integers(label_map)
        if classes is not None:
            return legends.from_settings(classes, ignore_index, mapping, palette)
        if path.is_file():
            return legends.from_json(path, ignore_index, mapping)
        masks = [pair.mask for pair in train if pair.mask is not None]
        return legends.from_masks(masks, ignore_index, mapping, self.max_pixels)


def _integers(label_map: Mapping[int, int] | None) -> dict[int, int]:
    try:
        return {int(value): int(label) for value, label in (label_map or {}).items()}
    except (TypeError, ValueError) as error:
        raise UserError(f"dataset.label_map: {label_map}; give ids as {{255: 1}}") from error
