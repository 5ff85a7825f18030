"""Families of other programs' checkpoints, and the renaming of their tensors by the tables of `keymap/`."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from densepred.hub import renaming
from densepred.weights import keymap

GROUPS = ("encoder.", "decoder.")
"""Parts of a model with a group of options of their own; settings of others are typed below `model.`."""
UPSAMPLE = "upsample"
"""Stands in the expectations of a family for the modules that an option of this group makes."""


@dataclass(frozen=True, slots=True)
class Family:
    """Checkpoints with the same names of tensors; `densepred.weights.keymap` explains the fields."""

    name: str
    marks: Sequence[str]
    rules: Sequence[tuple[str, str | None]]
    expects: Mapping[str, object] = field(default_factory=dict)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    merges: renaming.Merges = ()
    splits: renaming.Splits = ()
    orders: renaming.Orders = ()
    changes: renaming.Changes = ()
    unused: Sequence[str] = ()

    def matches(self, names: Collection[str]) -> bool:
        """Match each of the marks with some name of a file."""
        return all(any(re.fullmatch(mark, name) for name in names) for mark in self.marks)

    def rename(self, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        """Return the tensors under our names, and the names of those that no model needs."""
        return renaming.rename(state, self.rules, self.merges, self.splits, self.orders, self.changes)

    def needless(self, name: str) -> bool:
        """Match one of ours that files of this family hold though their own model does not run it."""
        return any(re.fullmatch(pattern, name) for pattern in self.unused)


def families() -> dict[str, Family]:
    """Return every family of `keymap/`, by the name of its module."""
    return {module: family(module) for module in sorted(one.name for one in pkgutil.iter_modules(keymap.__path__))}


def family(module: str) -> Family:
    """Return the family of one module of `keymap/`."""
    table = importlib.import_module(f"{keymap.__name__}.{module}")
    more = {
        name: getattr(table, name.upper())
        for name in ("expects", "mean", "std", "merges", "splits", "orders", "changes", "unused")
        if hasattr(table, name.upper())
    }
    return Family(table.NAME, table.MARKS, table.RULES, **more)


def matching_families(names: Iterable[str]) -> list[str]:
    """Return the modules of `keymap/` that match the names of a file."""
    held = set(names)
    return [module for module, one in families().items() if one.matches(held)]


def setting(place: str, value: object) -> str:
    """Return an expectation of a family as it is typed, such as model.align_corners=true."""
    key = place if place == UPSAMPLE or place.startswith(GROUPS) else f"model.{place}"
    return f"{key}={'null' if value is None else str(value).lower()}"
