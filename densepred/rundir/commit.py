"""The commit of a git checkout, read from its files: git itself would obey the configuration of that folder.

Source: https://git-scm.com/docs/gitrepository-layout
"""

from __future__ import annotations

import re
from pathlib import Path

HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")  # SHA-1, or SHA-256
REFERENCE = re.compile(r"refs/[\w./@+-]+", re.ASCII)
LARGEST = 2**22  # bytes of a file that is read
LINKS = 5  # references to references


def current(folder: Path) -> str | None:
    """Return the commit that is checked out in a folder or above it; None without one, or where it cannot be read."""
    try:
        git = _git_folder(folder.resolve())
        return None if git is None else _resolved(git, _read(git / "HEAD"))
    except (OSError, ValueError):
        return None


def _git_folder(folder: Path) -> Path | None:
    """Return the folder `.git` of a checkout, or the one that a file `.git` names: of a worktree or a submodule."""
    for parent in (folder, *folder.parents):
        place = parent / ".git"
        if place.is_dir():
            return place
        if place.is_file():
            return parent / _read(place).removeprefix("gitdir:").strip()
    return None


def _resolved(git: Path, text: str) -> str | None:
    """Return the commit that HEAD means: a hash, or the name of a reference that holds one."""
    common = git / "commondir"  # a worktree shares the references of its repository
    homes = [git, git / _read(common)] if common.is_file() else [git]
    for _ in range(LINKS):
        if HASH.fullmatch(text):
            return text
        name = text.removeprefix("ref:").strip()
        if not text.startswith("ref:") or not REFERENCE.fullmatch(name) or ".." in name:
            return None
        found = next((_read(home / name) for home in homes if (home / name).is_file()), None)
        text = found if found is not None else _packed(homes[-1], name)
    return None


def _packed(git: Path, name: str) -> str:
    path = git / "packed-refs"
    lines = _read(path).splitlines() if path.is_file() else []
    return next((line.split()[0] for line in lines if line.split()[1:] == [name]), "")


def _read(path: Path) -> str:
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise ValueError(f"{path}: no file of git")
    return path.read_text(encoding="utf-8").strip()
