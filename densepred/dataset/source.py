"""The pairs of each split: in folders, in a list, or by dividing either of them at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from densepred.dataset.listing import Pair, divide, pair_folders, read_list
from densepred.types import UserError

SPLITS: Mapping[str, str | float] = {"train": "train", "valid": "val", "test": "test"}


@dataclass(slots=True)
class Source:
    """`images` and `masks` are folders within `root`; {split} in them is the folder that `splits` names.

    Where `splits` holds fractions, one folder is divided at random by `seed`, with equal `group`s kept together.
    """

    root: Path
    images: str
    masks: str | None
    mask_suffix: str = ""
    listed: str | None = None  # a CSV file
    splits: Mapping[str, str | float] | None = None
    seed: int = 0
    group: str | None = None
    _splits: dict[str, str | float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        given, self.root = self.root, Path(self.root).expanduser()
        if not self.root.is_dir():
            raise UserError(f"dataset.root: {given} is no folder (from {Path.cwd()}); give the folder of the dataset")
        self._splits = dict(self.splits or SPLITS)

    def pairs(self, split: str) -> list[Pair]:
        fractions = {name: float(part) for name, part in self._splits.items() if isinstance(part, int | float)}
        if split not in (fractions or self._splits):
            known = ", ".join(fractions or self._splits)
            raise UserError(f"dataset.split: {split!r} is not in dataset.splits ({known})")
        place = self._place(split)
        pairs = self._from_list(split, place) if self.listed is not None else self._from_folders(place)
        return divide(pairs, fractions, self.seed, self.group)[split] if fractions else pairs

    def has_training(self) -> bool:
        """Whether there is a training split; a folder with nothing but test images is fine."""
        if "train" not in self._splits:
            return False
        place = self._place("train")
        if self.listed is not None:
            return (self.root / self.listed.replace("{split}", place)).is_file()
        return (self.root / self.images.replace("{split}", place)).is_dir()

    def _place(self, split: str) -> str:
        """What stands for {split}: nothing where one folder is divided by fractions."""
        divided = any(isinstance(part, int | float) for part in self._splits.values())
        return "" if divided else str(self._splits[split])

    def _from_folders(self, place: str) -> list[Pair]:
        masks = None if self.masks is None else self.root / self.masks.replace("{split}", place)
        return pair_folders(self.root / self.images.replace("{split}", place), masks, self.mask_suffix)

    def _from_list(self, split: str, place: str) -> list[Pair]:
        """A file for each split, or one file with a column `split`, or one file to be divided."""
        assert self.listed is not None
        path = self.root / self.listed.replace("{split}", place)
        rows = read_list(path, self.root, self.masks is not None)
        if "{split}" in self.listed or not place:
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
