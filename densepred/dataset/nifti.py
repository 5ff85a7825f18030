"""Slices of NIfTI volumes with label volumes, in nnU-Net's raw form or in two folders.

Source: https://github.com/MIC-DKFZ/nnUNet/blob/master/documentation/dataset_format.md
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from densepred.contracts import Dataset
from densepred.dataset import class_lists, legend, name_list, nifti_file, paths, volume_cases
from densepred.dataset.coco_choice import Choice
from densepred.dataset.division import chosen_fold, tell_named
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.intensity import as_window, check_channels, unit
from densepred.dataset.labels import parse_label_map
from densepred.dataset.volume_cases import Case
from densepred.errors import UserError
from densepred.nn import choose
from densepred.types import Annotation, Frame, Info, Sample

SPLITS: Mapping[str, str | float] = {"train": 0.8, "valid": 0.1, "test": 0.1}


class Nifti(Dataset):
    """Every slice across `axis` is an image. All slices of a case are in one split.

    Channels are the files `case_0000`, `case_0001`, ... of a case, or a fourth axis. Slices are turned as radiologists
    view them, however a volume is stored. `window` None is that of the middle 99 % of the training values, per channel.
    `list` is nnU-Net's splits_final.json, of which `fold` is one, or a text file of names with {split} in its path.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: Mapping[str, str | float] | None = None,
        images: str = "imagesTr",
        masks: str = "labelsTr",
        axis: str = "axial",
        classes: Sequence[str] | int | None = None,
        ignore_index: int | None = None,
        label_map: Mapping[int, int] | None = None,
        window: Sequence[Any] | None = None,
        list: str | None = None,
        seed: int = 0,
        group: str | None = None,
        unpaired: str = "refuse",
        folds: int | None = None,
        fold: int | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        choose("dataset.axis", axis, tuple(nifti_file.AXES))
        choose("dataset.unpaired", unpaired, ("refuse", "skip"))
        shown = as_window(window)
        self._root, self._axis, self._name = paths.dataset_root(root), nifti_file.AXES[axis], axis
        self._folders, self._unpaired, self._max_pixels = (images, masks), unpaired, max_pixels
        known = paths.known_splits(splits, SPLITS)
        own = name_list.own_folds(list, folds)
        self._list, self._fold, chosen = list, fold, None if own else chosen_fold(folds, fold)
        self.cases = self._cases(Choice(split, known, seed, group, chosen))
        train = self.cases if split == "train" else self._cases(Choice("train", known, seed, group, chosen))
        found = self._legend(train, classes, ignore_index, parse_label_map(label_map))
        self._labels = found.labels
        self._window = volume_cases.window(train, self._axis) if shown is None else shown
        check_channels(self._window, train[0].channels, train[0].images[0].path)
        mean, std = volume_cases.statistics(train, self._axis, self._window)
        self.info = Info(
            found.labels.classes,
            palette=found.palette,
            channels=len(mean),
            bands=tuple(range(1, len(mean) + 1)),
            mean=mean,
            std=std,
            window=tuple(self._window),
        )
        self._slices = [(case, number) for case in self.cases for number in range(case.shape[self._axis])]

    def __len__(self) -> int:
        return len(self._slices)

    def identity(self, index: int) -> tuple[int | str | None, str]:
        case, number = self._slices[index]
        return None, f"{case.name}/{number:04d}"

    def images_line(self) -> str:
        return volume_cases.describe(self.cases, self._axis, self._name, self._window)

    def __getitem__(self, index: int) -> Sample:
        case, number = self._slices[index]
        values = unit(case.slice(self._axis, number), case.images[0].path, self._window)
        mask = volume_cases.whole(case.mask.slice(self._axis, number)[..., 0], case.mask.path)
        labels = self._labels.encode(mask, case.mask.path)
        image = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))
        size = (image.shape[1], image.shape[2])
        return Sample(image, Annotation(size, semantic=labels), Frame(self.identity(index)[1], size))

    def _cases(self, choice: Choice) -> list[Case]:
        """Return the cases of a split."""
        if self._list is not None:
            return self._listed(self._list, choice)
        fractions = paths.fractions(choice.splits, choice.source)
        word = "" if fractions else str(paths.of_split(choice.splits, choice.source))
        images, masks = (paths.below(self._root, folder, word) for folder in self._folders)
        found = volume_cases.find(images, masks, self._axis, self._max_pixels, self._unpaired)
        if not fractions and not choice.folded:
            return found
        if choice.folded and not fractions and choice.word == "train" and "valid" in choice.splits:
            self._tell_named(choice, found)
        members = choice.members([case.name for case in found], fractions)
        return [case for case, wanted in zip(found, members, strict=True) if wanted]

    def _listed(self, name: str, choice: Choice) -> list[Case]:
        """Return the cases of a split that a list names."""
        own = name.lower().endswith(name_list.FOLDS)
        word = "" if own else paths.name_of_split(choice.splits, {}, choice.split)
        images, masks = (paths.below(self._root, folder, word) for folder in self._folders)
        found = volume_cases.find(images, masks, self._axis, self._max_pixels, self._unpaired)
        path = paths.below(self._root, name, word)
        names = name_list.read(path, choice.split, self._fold)
        return name_list.chosen(path, names, {case.name: case for case in found}, self._unpaired)

    def _tell_named(self, choice: Choice, pool: Sequence[Case]) -> None:
        """Tell if validation cases of their own are left out, because folds divide those of training."""
        with contextlib.suppress(UserError):  # there are none
            others = self._cases(replace(choice, split="valid", folds=None))
            own = {case.mask.path for case in pool}
            tell_named(sum(case.mask.path not in own for case in others), "cases", choice.splits["valid"])

    def _legend(
        self,
        train: Sequence[Case],
        classes: Sequence[str] | int | None,
        ignore_index: int | None,
        label_map: Mapping[int, int],
    ) -> legend.Legend:
        """Return the classes of the settings, else of dataset.json, else those that are counted in training labels."""
        path: Path = self._root / "dataset.json"
        if classes is None and path.is_file() and (entries := class_lists.nnunet(path)):
            return legend.from_entries(entries, path, {ignore_index}, label_map)
        if classes is None:
            classes = volume_cases.count_classes(train, ignore_index, label_map)
        return legend.from_settings(classes, ignore_index, label_map)
