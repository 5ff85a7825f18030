"""Arguments, splits and classes that datasets of single annotation files share."""

from __future__ import annotations

import contextlib
import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

from densepred.dataset import coco, layouts, paths
from densepred.dataset.coco_choice import Choice
from densepred.dataset.coco_instances import OWN, CocoInstances
from densepred.dataset.division import chosen_fold, tell_named
from densepred.dataset.facts import counted
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.named_image import found_beside
from densepred.dataset.records import Records
from densepred.errors import Misfit, Notice, UserError, shown
from densepred.nn import choose

Found = TypeVar("Found", bound=Sized)

SPLITS: Mapping[str, paths.Patterns | float] = {"train": "train", "valid": ("val", "valid"), "test": "test"}


@dataclass(eq=False)
class Annotated(CocoInstances):
    """Objects that a subclass gathers from its files; class 0 is the background.

    `splits` holds names of folders, or fractions into which all files are divided by a hash of `seed` and name.
    Without `classes` the labels of the training files are the classes, in the order of the alphabet.
    """

    option: ClassVar[str]

    root: str
    split: str = "train"
    splits: Mapping[str, paths.Patterns | float] | None = None
    classes: Sequence[str] | None = None
    limit: int | None = None
    most_instances: int | None = None
    exif: str = "upright"
    max_value: int | None = None
    seed: int = 0
    group: str | None = None
    max_pixels: int = MAX_PIXELS
    folds: int | None = None
    fold: int | None = None
    unpaired: str = "refuse"

    def __post_init__(self) -> None:
        choose("dataset.unpaired", self.unpaired, ("refuse", "skip"))
        self._folder = paths.dataset_root(self.root)
        splits = paths.known_splits(self.splits, SPLITS)
        choice = Choice(self.split, splits, self.seed, self.group, chosen_fold(self.folds, self.fold))
        fractions = paths.fractions(splits, choice.source)
        if fractions:
            paths.of_split(fractions, choice.source)
        self._splits, self._divided = splits, bool(fractions)
        records = self._gathered(choice.source)
        if choice.folded and not fractions and choice.word == "train" and "valid" in splits:
            self._tell_named(records)
        file = records.file(self._class_names(records, choice.source), choice, fractions)
        self._index(file, self.limit, self.most_instances, self.exif, self.max_value, self.max_pixels)

    @abstractmethod
    def gather(self, split: str) -> Records:
        """Return the images and objects of a split, or all of them if `splits` holds fractions."""

    def records(self, path: Path) -> Records:
        """Return records without images; messages name `path`, and files lie below the root."""
        return Records(path, self._folder, self.max_pixels, self.exif != "stored")

    def known_classes(self) -> list[str] | None:
        """Return the classes that a file of the dataset lists; None if none does."""
        return None

    def find(self, patterns: paths.Patterns, split: str, key: str) -> Path:
        """Return the file or folder of a split, the first of the patterns that exists.

        Without one under the names of the split, other words for it count; a notice tells if the names were chosen.
        """
        if self._divided:
            return paths.find(self.root, coco.undivided(patterns), [""], key)[0]
        names = paths.split_names(self._splits, split)
        path, name = paths.find(self.root, patterns, [*names, *paths.other_words(split, names)], key)
        if name not in names and self.chosen(split):
            paths.tell_other(path, names, split, key)
        return path

    def find_all(self, patterns: paths.Patterns, split: str, key: str) -> list[Path]:
        """Return the file that `find` does, or several if there is one pattern and a star in it stands for folders."""
        if not isinstance(patterns, str) or "*" not in patterns:
            return [self.find(patterns, split, key)]
        names = [""] if self._divided else paths.split_names(self._splits, split)
        tried = [patterns.replace("{split}", name) for name in names]
        return some(sorted(path for one in tried for path in self._folder.glob(one)), self._folder, " or ".join(tried))

    def of_all_splits(self, path: Path, patterns: paths.Patterns) -> bool:
        """Return True if one of the patterns, without the name of a split, is `path`."""
        listed = [patterns] if isinstance(patterns, str) else patterns
        return path in [paths.below(self._folder, one, "") for one in listed if "{split}" not in one]

    def chosen(self, split: str) -> bool:
        """Return True if `splits` gives a split other names than the usual ones."""
        word = paths.split_word(split)
        return word not in SPLITS or paths.split_names(self._splits, split) != paths.split_names(SPLITS, word)

    def present(self, patterns: paths.Patterns, split: str) -> Path | None:
        """Return the path that `find` does; None if there is none."""
        try:
            return self.find(patterns, split, "annotations")
        except paths.Absent:
            return None

    def add_image(
        self,
        records: Records,
        path: Path,
        name: object,
        folders: Sequence[Path] = (),
        size: tuple[int, int] | None = None,
    ) -> int | None:
        """Add the image that an annotation file names, and return its number; None, noted in `records`, without one."""
        file = found_beside(path, name, self._folder, folders)
        if file is None:
            records.lost.append((path, name))
            return None
        return records.image(file, size)

    def _gathered(self, split: str) -> Records:
        try:
            records = self.gather(split)
        except paths.Absent as error:
            if split != "train" and not self._divided and self._there("train"):
                raise paths.offering_folds(error, split) from error
            raise layouts.explained(error, self._folder, self.option) from error
        if records.lost:
            self._settle(records)
        return records

    def _there(self, split: str) -> bool:
        """Look for the files of a split: where those of training are, no other layout is."""
        with contextlib.suppress(UserError):
            return len(self.gather(split)) > 0
        return False

    def _tell_named(self, records: Records) -> None:
        """Tell if validation images of their own are left out, because folds divide those of training."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Notice)
            try:
                others = self.gather("valid").names() - records.names()
            except UserError:  # there are none
                return
        tell_named(len(others), "images", paths.split_names(self._splits, "valid")[0])

    def _settle(self, records: Records) -> None:
        """Refuse annotations without an image, or count them if `unpaired` is skip and others have theirs."""
        (path, name), *others = records.lost
        if self.unpaired == "skip" and len(records):
            records.told["annotated images are missing, and left out (dataset.unpaired=skip)"] = len(records.lost)
            return
        more = f", and those of {len(others)} more" if others else ""
        remedy = "put it beside the file, correct the name, or type dataset.unpaired=skip to leave it out"
        names = [str(name) for _, name in records.lost]
        raise Misfit(f"{path}: its image {shown(name)} is missing{more}; {remedy}", "unpaired", names=names)

    def _class_names(self, records: Records, split: str) -> list[str]:
        given = self.known_classes() if self.classes is None else [str(name) for name in self.classes]
        if given is None and split != "train" and not self._divided:
            given = self._labels_of_training()
        names = records.labels() if given is None else given
        if not [name for name in names if name.lower() not in OWN]:
            left = [counted(times, what) for what, times in records.told.items() if times and "no area" in what]
            if left:
                fact = f"{records.path}: holds no labelled object with an area ({'; '.join(left)})"
                raise UserError(f"{fact}; for keypoints, export them as COCO's JSON and type dataset=coco_keypoints")
            raise UserError(f"{records.path}: holds no labelled object; name the classes in dataset.classes")
        return names

    def _labels_of_training(self) -> list[str] | None:
        """Return the labels of the training files; None, with a notice, if there are none: a dataset may be a test."""
        with contextlib.suppress(paths.Absent):
            return self.gather("train").labels()
        text = f"dataset.classes: no training files, so the labels of {self.split} are the classes; name them"
        warnings.warn(f"{text} as in training to compare scores", Notice, stacklevel=2)
        return None


def files_below(folder: Path, *extensions: str) -> list[Path]:
    """Return the files with the extensions below a folder, in the order of their names; hidden ones are left out."""
    found = [path for path in folder.rglob("*") if path.suffix.lower() in extensions and path.is_file()]
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def some(found: Found, place: Path, what: str) -> Found:
    """Return the annotation files that were found, or raise Absent, with `what` the place lacks, for none."""
    if not found:
        raise paths.Absent(f"{place}: holds no {what}; check dataset.annotations and dataset.splits")
    return found
