"""A dataset in the order of classes and keypoints of another: that of training, matched by name."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from densepred.contracts import Dataset
from densepred.errors import Notice, UserError, in_shell
from densepred.types import VOID, Annotation, Info, Sample

SHOWN = 12  # names of a list in a message
TYPED = 40  # names to type


class ByName(Dataset):
    """The samples of a dataset with their classes and keypoints numbered as in `info`."""

    def __init__(self, dataset: Dataset, info: Info) -> None:
        given = dataset.info
        self.dataset = dataset
        images = {name: getattr(given, name) for name in ("channels", "bands", "mean", "std", "provides")}
        self.info = replace(info, **images)
        numbers = [info.classes.index(name) for name in given.classes]  # detectors may have more than a map holds
        self.categories = torch.tensor(numbers, dtype=torch.int64)
        self.classes = torch.full((VOID + 1,), VOID, dtype=torch.uint8)  # of class maps, by the dataset's numbers
        if "semantic" in given.provides:
            self.classes[: len(numbers)] = self.categories.to(torch.uint8)
        self.keypoints = [given.keypoints.index(name) for name in info.keypoints if name in given.keypoints]

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[index]
        return replace(sample, truth=self._renumbered(sample.truth))

    def labelled(self, index: int) -> list[int]:
        return self.dataset.labelled(index)

    def files(self) -> Sequence[Path] | None:
        return self.dataset.files()

    def identity(self, index: int) -> tuple[int | str | None, str]:
        return self.dataset.identity(index)

    def images_line(self) -> str:
        return self.dataset.images_line()

    def _renumbered(self, truth: Annotation) -> Annotation:
        changed: dict[str, Any] = {}
        if truth.semantic is not None:
            changed["semantic"] = self.classes[truth.semantic.long()]
        if truth.categories is not None:
            known = truth.categories.long()
            inside = (known >= 0) & (known < len(self.categories))
            changed["categories"] = known.masked_scatter(inside, self.categories[known[inside]])
        if truth.keypoints is not None and len(self.keypoints) == truth.keypoints.shape[1]:
            changed["keypoints"] = truth.keypoints[:, self.keypoints]
        return replace(truth, **changed)


def matched(dataset: Dataset, info: Info, required: Collection[str], what: str, known: str) -> Dataset:
    """Return the dataset with classes and keypoints in the order of `info`; itself if it has that order.

    required: the fields of annotations that the task reads. Boxes and instances may be of fewer classes; class maps and
        keypoints need all of them, because their files give numbers in the order of the names.
    what, known: the dataset and the owner of `info` in messages
    Raises UserError if the names differ.
    """
    if set(required) <= {"image"}:
        return dataset
    given = dataset.info
    kinds = [("classes", given.classes, info.classes, "semantic" not in required)]
    if "keypoints" in required:
        kinds.append(("keypoints", given.keypoints, info.keypoints, False))
    differ = [kind for kind in kinds if kind[1] != kind[2]]
    for word, names, wanted, fewer in differ:
        if set(names) != set(wanted) and not (fewer and names and set(names) < set(wanted)):
            fact = f"{known} has the {word} {_shown(wanted)} but {what} has {_shown(names)}"
            remedy = _remedy(word, names, wanted)
            raise UserError(f"{fact}; {remedy}")
        if len(set(names)) < len(names):
            raise UserError(f"{what} has {word} of equal names, {_shown(names)}; give each a name of its own")
    for word, names, wanted, _ in differ:
        warnings.warn(
            f"{what}: {word} {_shown(names)} matched by name with {_shown(wanted)} of {known}", Notice, stacklevel=2
        )
    return ByName(dataset, info) if differ else dataset


def _remedy(word: str, names: Sequence[str], wanted: Sequence[str]) -> str:
    unnamed = word == "classes" and names and all(re.fullmatch(r"class_\d+", name) for name in names)
    if unnamed and len(names) <= len(wanted) <= TYPED:
        words = in_shell(f"dataset.classes=[{','.join(wanted)}]")
        return f"the masks have no names of their own: type {words} if their ids count in this order"
    return "give both the same names, in any order"


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "none") + more
