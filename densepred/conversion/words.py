"""Words that conversions share: overrides as a shell takes them, and the head of a COCO file."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from densepred.dataset.intensity import windows
from densepred.home import override
from densepred.types import Info

HEAD = {"info": {"description": "written by densepred"}, "licenses": []}
"""Entries of a COCO file that importers ask for, such as Roboflow's."""


def shell(override: str) -> str:
    """Return an override in the quotes that a shell needs, in double ones if single ones are part of it."""
    if "'" in override and not re.search(r"""["`$!\\]""", override):
        return f'"{override}"'
    return shlex.quote(override)


def located(root: Path, info: Info) -> str:
    """Return the overrides of a dataset's root, and of white or the window of its images, if that is known.

    Images of picked bands are written as the window maps them, so that none is to be applied again.
    """
    words = [override("dataset.root", root), *([f"dataset.max_value={info.max_value}"] if info.max_value else [])]
    if info.window is not None and not info.bands:
        pairs = [f"[{_plain(center)},{_plain(width)}]" for center, width in windows(info.window)]
        several = ",".join(pairs)
        words.append(f"dataset.window={several if len(pairs) == 1 else f'[{several}]'}")
    return " ".join(map(shell, words))


def _plain(value: float) -> str:
    return repr(value).removesuffix(".0")
