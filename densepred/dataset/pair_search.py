"""The pairs of an image and a mask of a split: in folders or in a list, named apart or divided."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from densepred.dataset import layouts, name_list, pair_list, paths
from densepred.dataset.companions import Words, companions
from densepred.dataset.division import (
    FOLDED,
    chosen_fold,
    divide,
    divide_folds,
    tell_far,
    tell_named,
    tell_pooled,
    tell_unused,
)
from densepred.dataset.pairs import NoPairs, Pair, pair_folders
from densepred.errors import Notice
from densepred.nn import choose
from densepred.types import UserError

Pairs = list[Pair]

SPLITS: Mapping[str, str | float] = {"train": "train", "valid": "val", "test": "test"}


@dataclass(eq=False)
class PairSearch:
    """`images` and `masks` are folders within `root`; {split} in them is the folder that `splits` names.

    If `splits` holds fractions, one folder is divided by a hash of `seed` and name, and equal `group`s stay together.
    With `folds`, the images of training and of validation together, or those of training if these are named apart, are
    divided into so many; `fold` is the validation split, and the others are the training split.
    Images without a mask and masks without an image are refused, or with `unpaired=skip` left out and counted.
    """

    option: ClassVar[str] = "folder"

    root: str
    split: str = "train"
    splits: Mapping[str, str | float] | None = None
    images: str = "images/{split}"
    masks: str | None = "masks/{split}"
    mask_suffix: str = ""
    image_suffix: str = ""
    list: str | None = None  # a CSV file instead of folders, or names of the files in them
    seed: int = 0
    group: str | None = None
    unpaired: str = "refuse"
    outside: bool = False  # let the list name files outside `root`
    folds: int | None = None
    fold: int | None = None

    def find_pairs(self) -> Pairs:
        """Set `pairs` to those of the split. Return those of training, or of the split if there is no training.

        Classes and statistics come from the pairs returned, so that they do not depend on the split.
        """
        choose("dataset.unpaired", self.unpaired, ("refuse", "skip"))
        self._root = paths.dataset_root(self.root)
        self._splits = paths.known_splits(self.splits, SPLITS)
        own = name_list.own_folds(self.list, self.folds)
        self._fold = None if own else chosen_fold(self.folds, self.fold)
        try:
            self.pairs = self._pairs(self.split)
        except NoPairs as error:
            raise self._explained(error) from error
        return self._pairs("train") if self.split != "train" and self._has_training() else self.pairs

    def _explained(self, error: NoPairs) -> UserError:
        """Return the error with the words for the layout that is there, unless files were found in training."""
        if self.list is not None:
            return error
        if self.split != "train" and self._has_training():
            return error if error.cause == "unpaired" else paths.offering_folds(error, self.split)
        return layouts.explained(error, self._root, self.option)

    def _pairs(self, split: str) -> Pairs:
        """Return the pairs of a split, sorted by name if they are divided."""
        word = paths.split_word(split)
        if self._fold is None or word not in FOLDED:
            return self._of_split(split, (word,))
        pool = sorted(self._of_split("train", FOLDED), key=lambda pair: pair.id)
        if word == self.split == "train":
            self._tell_named(pool)
        places = divide_folds([pair.id for pair in pool], self._fold, self.seed, self.group)
        return [pair for pair, place in zip(pool, places, strict=True) if place == word]

    def _tell_named(self, pool: Pairs) -> None:
        """Tell if validation images of their own are left out, because folds divide those of training."""
        if paths.fractions(self._splits, "train") or "valid" not in self._splits:
            return
        try:
            others = {pair.image for pair in self._of_split("valid", ("valid",))} - {pair.image for pair in pool}
        except UserError:  # there are none
            return
        tell_named(len(others), "images", self._splits["valid"])

    def _of_split(self, split: str, wanted: Collection[str]) -> Pairs:
        """Return the pairs of a split that is named, or those in the `wanted` splits if they are fractions."""
        fractions = paths.fractions(self._splits, split)
        name = paths.of_split(fractions or self._splits, split)
        folder = "" if fractions else str(name)
        if not fractions and self.list is None:
            folder = paths.present(self._root, self.images, folder, split)
        pairs = self._from_folders(folder) if self.list is None else self._from_list(str(self.list), split, folder)
        return self._divided(pairs, fractions, wanted) if fractions else pairs

    def _divided(self, pairs: Pairs, fractions: Mapping[str, float], wanted: Collection[str]) -> Pairs:
        pairs = sorted(pairs, key=lambda pair: pair.id)
        found = divide([pair.id for pair in pairs], fractions, self.seed, self.group)
        if "train" in wanted and self.split == "train":
            tell_unused(found, fractions)
            if self.folds is None:
                tell_far([pair.id for pair in pairs], found, fractions, self.group)
            tell_pooled([pair.id for pair in pairs if self.list is None])
        return [pair for pair, place in zip(pairs, found, strict=True) if place in wanted]

    def _has_training(self) -> bool:
        """Look for the files of training; a dataset may hold test images alone."""
        if "train" not in self._splits:
            return False
        folder = "" if paths.fractions(self._splits, "train") else str(self._splits["train"])
        if self.list is not None:
            return paths.below(self._root, self.list, folder).is_file()
        return paths.below(self._root, self.images, folder).is_dir()

    def _from_folders(self, folder: str) -> Pairs:
        masks = None if self.masks is None else paths.below(self._root, self.masks, folder)
        images = paths.below(self._root, self.images, folder)
        pairs = pair_folders(images, masks, self.mask_suffix, self.image_suffix, tell=True, unpaired=self.unpaired)
        if masks is None:
            self._tell_masks([pair.image for pair in pairs], images)
        return pairs

    def _tell_masks(self, files: Sequence[Path], folder: Path) -> None:
        """Tell that files which are read as images are masks of others, by their names."""
        if found := companions(files, folder, Words(image_suffix=self.image_suffix)):
            mask, image = next(iter(found.items()))
            fact = f"{len(found)} of {len(files)} images belong to others by their names ({mask.name} of {image.name})"
            text = f"{folder}: {fact}; to leave them out, name them by dataset.masks and dataset.mask_suffix"
            warnings.warn(text, Notice, stacklevel=4)

    def _from_list(self, name: str, split: str, folder: str) -> Pairs:
        """Read one file per split, or one file with a column `split`, or one file that is to be divided."""
        path = paths.below(self._root, name, folder)
        if name_list.is_names(path):
            return self._from_names(path, name, split, folder)
        rows = pair_list.read_list(path, self._root, self.masks is not None, self.outside)
        rows = pair_list.present(path, rows, self.unpaired)
        if "{split}" in name or not folder:
            if "{split}" not in name and split == self.split == "train":
                pair_list.tell_column(path, rows)
            return [pair for pair, _ in rows]
        if rows[0][1] is None:
            more = self._undivided("lines")
            raise UserError(f"{path}: has no column `split`; add one, or put {{split}} into dataset.list, or {more}")
        if split == self.split == "train":
            pair_list.tell_unused(path, rows, {one: str(part) for one, part in self._splits.items()})
        return pair_list.of_split(path, rows, folder, split)

    def _undivided(self, what: str) -> str:
        """Return what to type for a list that names no splits."""
        if self.folds is not None:
            return f"type 'dataset.splits={{train: 1.0}}' to divide all {what} into the folds"
        return "type 'dataset.splits={train: 0.8, valid: 0.2}' to divide them"

    def _from_names(self, path: Path, name: str, split: str, folder: str) -> Pairs:
        """Return the pairs in the folders that a list names; other files there are of other splits, or unlabelled."""
        if folder and "{split}" not in name and not name.lower().endswith(name_list.FOLDS):
            more = self._undivided("names")
            raise UserError(f"{path}: lists names of one split; put {{split}} into dataset.list, or {more}")
        images = paths.below(self._root, self.images, folder)
        masks = None if self.masks is None else paths.below(self._root, self.masks, folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Notice)
            pairs = pair_folders(images, masks, self.mask_suffix, self.image_suffix, unpaired="skip")
        names = name_list.read(path, split, self.fold)
        return name_list.chosen(path, names, {pair.id: pair for pair in pairs}, self.unpaired)
