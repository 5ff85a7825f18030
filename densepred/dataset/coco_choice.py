"""Choice of images from a COCO file: a file per split, fractions of one file, or folds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from densepred.dataset import paths
from densepred.dataset.division import FOLDED, divide, divide_folds, tell_far, tell_pooled, tell_unused
from densepred.errors import Notice, UserError


@dataclass(frozen=True, slots=True)
class Choice:
    """A split of the images: a file of its own, or a fraction of one file's images by `seed` and `group`.

    folds: number of folds and the one for validation, of the images of training (and of validation, if one file holds
    both); None without folds.
    """

    split: str
    splits: Mapping[str, Any]
    seed: int
    group: str | None
    folds: tuple[int, int] | None = None

    @property
    def word(self) -> str:
        return paths.split_word(self.split)

    @property
    def folded(self) -> bool:
        return self.folds is not None and self.word in FOLDED

    @property
    def source(self) -> str:
        """The split that names the file of the images."""
        return "train" if self.folded else self.split

    def members(self, names: Sequence[str], fractions: Mapping[str, float]) -> list[bool]:
        """Return per image if it is in the split; `fractions` are those of `splits`, {} if these are names."""
        kept = [True] * len(names)
        if fractions:
            found = divide(names, fractions, self.seed, self.group)
            if self.word == "train":
                tell_unused(found, fractions)
                if self.folds is None:
                    tell_far(names, found, fractions, self.group)
                tell_pooled(names)
            kept = [place in (FOLDED if self.folded else (self.word,)) for place in found]
        if self.folded and self.folds is not None:
            pool = [name for name, here in zip(names, kept, strict=True) if here]
            places = iter(divide_folds(pool, self.folds, self.seed, self.group))
            kept = [here and next(places) == self.word for here in kept]
        return kept

    def tell_named(self, root: str, annotations: paths.Patterns, path: Path) -> None:
        """Tell in training if a validation file of its own is left out, because folds divide the images of `path`."""
        if "valid" not in self.splits or self.word != "train":
            return
        try:
            other, name = paths.find(root, annotations, paths.split_names(self.splits, "valid"), "annotations")
        except UserError:  # there is none
            return
        if other != path:
            text = f"dataset.folds: divides the images of {path.name}; {other.name} is unused"
            warnings.warn(f"{text}; dataset.splits.test={name} tests on it", Notice, stacklevel=2)
