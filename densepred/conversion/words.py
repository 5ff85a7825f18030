"""Overrides as a shell takes them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path


def shell(override: str) -> str:
    """Return an override in the quotes that a shell needs, in double ones if single ones are part of it."""
    if "'" in override and not re.search(r"""["`$!\\]""", override):
        return f'"{override}"'
    return shlex.quote(override)


def located(root: Path, max_value: int | None) -> str:
    """Return the overrides of a dataset's root and of white in its images, if that is known."""
    white = f" dataset.max_value={max_value}" if max_value else ""
    return shell(f"dataset.root={root}") + white
