"""Subsets of CVAT's projects as splits of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from densepred.dataset import paths


@dataclass(frozen=True, slots=True)
class Subsets:
    """The `images` of a file, in subsets with names of `splits` or other words for them."""

    path: Path
    images: Sequence[Element]
    splits: Mapping[str, paths.Patterns | float]

    @property
    def none(self) -> bool:
        """True if no image is of a subset."""
        return self._names() == {""}

    def of(self, split: str) -> list[Element]:
        """Return the images of a split. Raises Absent if none is of its subset."""
        own = self.names(split)
        if not own:
            names = paths.split_names(self.splits, split)
            known = " or ".join([*names, *paths.other_words(split, names)])
            raise paths.Absent(f"{self.path}: no image is of the subset {known}; set dataset.splits")
        return [image for image in self.images if _subset(image) in own]

    def names(self, split: str) -> set[str]:
        """Return the subsets of a split that are there."""
        word = paths.split_word(split)
        return set(paths.words_there(self._names(), paths.split_names(self.splits, word), word))

    def tell_other(self, split: str) -> None:
        """Tell if the subsets of a split have none of its names, but other words for it."""
        own, names = self.names(split), paths.split_names(self.splits, split)
        if own.isdisjoint(name.casefold() for name in names):
            paths.tell_other(self.path, names, f"{split} from {' and '.join(sorted(own))}", "subsets")

    def unused(self) -> int:
        """Return the number of images of subsets that belong to no split."""
        used = set[str]().union(*(self.names(split) for split in self.splits))
        return sum(_subset(image) not in used for image in self.images)

    def _names(self) -> set[str]:
        return {_subset(image) for image in self.images}


def _subset(image: Element) -> str:
    return image.get("subset", "").casefold()
