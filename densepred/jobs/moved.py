"""Datasets of a run that lie elsewhere now: moved, or another one at the same relative path."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from densepred.home import expand
from densepred.rundir import splits


def resumed(then: splits.Record, now: splits.Record) -> str | None:
    """Return a sentence if a run goes on with images below another root than it began with; None if not."""
    if _same(then.root, now.root):
        return None
    return f"dataset.root: the run goes on with the images below {now.root}, and began with those below {then.root}"


def elsewhere(node: Mapping[str, Any], then: splits.Record, now: splits.Record) -> str | None:
    """Return a sentence if the relative root of a run leads from here to other images than its own; None if not.

    Where the folder of its images is gone, they were moved here.

    node: settings of the dataset, by key
    """
    root = node.get("root")
    if not isinstance(root, str) or os.path.isabs(expand(root)) or _same(then.root, now.root):
        return None
    tail = os.path.normpath(root).replace(f"..{os.sep}", "")
    if not os.path.isdir(then.root) or not f"{os.sep}{then.root}".endswith(f"{os.sep}{tail}"):
        return None
    return (
        f"dataset.root={root}: is {now.root} from here, and the run was trained on {then.root}; type "
        f"dataset.root={then.root} for its images"
    )


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
