"""Class, void and crowd of the ids in a map of instances, as the settings of a dataset define them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from densepred.dataset.facts import counted
from densepred.dataset.labels import parse_label_map
from densepred.nn import choose
from densepred.types import MAX_CLASSES, VOID, UserError


@dataclass(frozen=True, slots=True)
class InstanceIds:
    """Without a `divisor`, every id but 0 is an instance of the only thing.

    With a `divisor`, `class_of` maps id // divisor to a class. An id of a thing that the divisor divides is a crowd:
    a group that was not separated. Pixels with the id `ignore_index` are void.
    """

    things: tuple[int, ...]
    class_of: Mapping[int, int]
    divisor: int | None = None
    ignore_index: int | None = None

    def classify(self, ids: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Return the class of each id, and a mask of the crowds.

        ids: (N,) int64
        classes: (N,) int64, VOID where unknown
        crowd: (N,) bool

        Raises UserError, with the file `path`, if an id is of no class.
        """
        void = ids == (-1 if self.ignore_index is None else self.ignore_index)
        if self.divisor is None:
            classes = np.where(ids > 0, self.things[0], 0)
            return np.where(void, VOID, classes), np.zeros(len(ids), bool)
        classes = np.array([self.class_of.get(int(number), -1) for number in ids // self.divisor], np.int64)
        classes[void] = VOID
        if (classes < 0).any():
            raise self._unknown(path, int(ids[classes < 0][0]), self.divisor)
        return classes, ids % self.divisor == 0

    def _unknown(self, path: Path, id: int, divisor: int) -> UserError:
        number, known = id // divisor, sorted(self.class_of)
        listed = ", ".join(map(str, known[:8])) + (", ..." if len(known) > 8 else "")
        return UserError(
            f"{path}: the id {id} is of class {id} // {divisor} = {number}, but there are {listed}; correct it, "
            f"set dataset.divisor or dataset.ignore_index, or add 'dataset.label_map={{{number}: CLASS}}' (255: void)"
        )


def from_settings(
    names: tuple[str, ...],
    things: Sequence[str | int] | None,
    divisor: int | None,
    ignore_index: int | None,
    label_map: Mapping[int, int] | None,
) -> InstanceIds:
    """Check the settings of a dataset against each other. `things` are names or numbers; None: all but the first."""
    numbers = _thing_classes(things, names)
    if divisor is None:
        _check_single_class(names, numbers, label_map)
    elif divisor < 2:
        raise UserError(f"dataset.divisor: {divisor}; give 2 or more, as 1000, or null for a single class")
    if ignore_index is not None and ignore_index < 0:
        raise UserError(f"dataset.ignore_index: {ignore_index} is below 0; give an id, which is 0 or above, or null")
    return InstanceIds(numbers, _class_of_number(label_map, len(names)), divisor, ignore_index)


def class_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the names as text, or raise UserError if they are too few, too many or not distinct."""
    names = tuple(map(str, classes)) if not isinstance(classes, str | int) else ()
    if len(set(names)) < max(2, len(names)) or len(names) > MAX_CLASSES:
        raise UserError(f"dataset.classes: {classes}; give 2 to {MAX_CLASSES} different names, the background first")
    return names


def _check_single_class(names: Sequence[str], things: Sequence[int], label_map: Mapping[int, int] | None) -> None:
    if len(names) != 2 or len(things) != 1:
        raise UserError(
            f"dataset.classes: {counted(len(names), 'classes')}, {len(things)} of them things, but no rule "
            "from ids to classes; set dataset.divisor (class = id // divisor), or name the background and one thing"
        )
    if tuple(things) != (1,):
        raise UserError(f"dataset.things: {names[0]!r} is the background; make the thing the second class")
    if label_map:
        raise UserError(
            "dataset.label_map: maps id // divisor to classes, but there is no divisor; set dataset.divisor, "
            "or remove it"
        )


def _thing_classes(things: Sequence[str | int] | None, names: tuple[str, ...]) -> tuple[int, ...]:
    if things is None:
        return tuple(range(1, len(names)))
    out = set()
    for thing in things:
        if isinstance(thing, str):
            choose("class in dataset.things", thing, names)
        elif not 0 <= thing < len(names):
            raise UserError(f"dataset.things: {thing}; give names, or numbers from 0 to {len(names) - 1}")
        out.add(names.index(thing) if isinstance(thing, str) else int(thing))
    return tuple(sorted(out))


def _class_of_number(label_map: Mapping[int, int] | None, count: int) -> dict[int, int]:
    """Return the class of each value of id // divisor."""
    given = parse_label_map(label_map)
    for number, label in given.items():
        if number < 0 or not (0 <= label < count or label == VOID):
            raise UserError(
                f"dataset.label_map: {number} -> {label}; give numbers of 0 or more and classes from 0 to {count - 1}, "
                f"or {VOID} for void"
            )
    return {number: number for number in range(count)} | given
