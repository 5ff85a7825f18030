"""Names of classes that are likely one class, written in two ways."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from densepred.errors import Notice, shown


def tell_alike(path: Path, names: Sequence[str]) -> None:
    """Issue a notice about classes with names that differ in upper case and blanks alone."""
    same: dict[str, list[str]] = {}
    for name in names:
        same.setdefault("".join(name.casefold().split()), []).append(name)
    if found := [" and ".join(map(shown, alike)) for alike in same.values() if len(alike) > 1]:
        text = "differ in upper case or blanks alone, and are classes of their own; correct the labels"
        warnings.warn(f"{path}: {', '.join(found[:3])} {text}", Notice, stacklevel=2)
