"""File names in JSON files of unknown origin, and the images that they mean."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Generic, TypeVar

T = TypeVar("T")


def normal(name: str) -> str:
    """Return a path with forward slashes and without `./`."""
    return PurePosixPath(name.replace("\\", "/")).as_posix()


class FileNames(Generic[T]):
    """Values by file name. Names may begin at any folder: images/val/x.png, val/x.png and x.png mean one file."""

    def __init__(self, named: Iterable[tuple[str, T]]) -> None:
        self._whole: dict[str, set[T]] = defaultdict(set)
        self._ends: dict[str, list[tuple[tuple[str, ...], T]]] = defaultdict(list)
        for text, value in named:
            path = PurePosixPath(normal(text))
            self._whole[path.as_posix()].add(value)
            self._ends[path.name].append((path.parts, value))

    def __bool__(self) -> bool:
        return bool(self._whole)

    def find(self, name: str, folder: str = "") -> set[T]:
        """Return the values of a file at `folder / name`: none if it is not named, several if that is ambiguous.

        A name equal to `name` counts first, then the longest one that the whole path ends with, then names that end
        with `name`.
        """
        if name in self._whole:
            return self._whole[name]
        parts = PurePosixPath(name).parts
        whole = (*PurePosixPath(folder).parts, *parts)
        near = self._ends.get(parts[-1], []) if parts else []
        ends = [(len(known), value) for known, value in near if whole[-len(known) :] == known]
        if ends:
            longest = max(length for length, _ in ends)
            return {value for length, value in ends if length == longest}
        return {value for known, value in near if known[-len(parts) :] == parts}
