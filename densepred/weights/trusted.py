"""Packages that the user trusts and that no checkpoint names."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from densepred.errors import Notice
from densepred.weights.header import EXPORTED, find_weights, read_header


def tell(checkpoints: Sequence[str | Path], packages: Sequence[str]) -> None:
    """Issue a notice for each of `packages` without a name in any of the checkpoints, which must exist.

    Exported files are left out: the format itself may need a package.
    """
    paths = [find_weights(one) for one in checkpoints] if packages else []
    if any(path.suffix in EXPORTED for path in paths):
        return
    names = [name for path in paths for name in _names(read_header(path))]
    for package in packages:
        if not any(f"{name}.".startswith(f"{package}.") for name in names):
            text = "has no effect: the checkpoint names nothing of this package; leave it out"
            warnings.warn(f"trust=[{package}]: {text}", Notice, stacklevel=2)


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(name := node.get("_target_"), str):
            yield name
        node = list(node.values())
    for value in node if isinstance(node, list) else ():
        yield from _names(value)
