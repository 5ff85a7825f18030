"""Paths as users type them: `~` and `~name` stand for home folders. Free of torch, so that imports stay fast."""

from __future__ import annotations

import os
from pathlib import Path

from densepred.errors import UserError


def from_here(path: Path) -> str:
    """Return a path as a user would type it here: relative if it lies below the current folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (OSError, ValueError):  # the current folder is gone; the path lies elsewhere
        return str(path)


def expand(text: str | Path) -> Path:
    """Return the path with `~` replaced, or raise UserError if there is no such user."""
    found = Path(os.path.expanduser(text))
    if str(found).startswith("~"):
        name = found.parts[0]
        raise UserError(f"{text}: {name} is the home of no user here; write the path, or ./{text} for such a folder")
    return found
