"""The image files of a folder, listed alike by every command."""

from __future__ import annotations

import json
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from densepred.dataset.image_file import EXTENSIONS
from densepred.errors import Notice, UserError

RECORD = "predict.json"
"""File in a folder of predictions; it names their checkpoint, and keeps them from being read as images."""
EVALUATION = "metrics.json"
"""File in a folder of densepred-eval, which holds pictures too; it names their checkpoint."""

VIDEOS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".ogv")
"""Suffixes of video files."""
VOLUMES = (".nii", ".nii.gz")
"""Suffixes of volumes, which are no single images."""
OF_SYSTEMS = frozenset((".ds_store", ".directory", ".gitignore", ".gitkeep", "desktop.ini", "thumbs.db"))
"""Files that file managers and git leave in folders, in lower case: no user misses them."""
OF_CLASSES = frozenset(("_classes.csv", "class_names.txt", "classes.json", "dataset.json", "labelmap.txt"))
"""Files that name the classes of masks; they are read, not left out."""


@dataclass
class LeftOut:
    """Entries of a folder that its listing leaves out: folders of results, and files that are no images."""

    predictions: list[Path] = field(default_factory=list)
    videos: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    hidden: int = 0
    volumes: list[Path] = field(default_factory=list)

    def add(self, entry: os.DirEntry[str]) -> None:
        """Count a file that is no image, or a hidden entry."""
        suffix = Path(entry.name).suffix.lower()
        if entry.name.lower() in OF_SYSTEMS | OF_CLASSES:
            return
        if entry.name.lower().endswith(VOLUMES) and not entry.name.startswith("."):
            self.volumes.append(Path(entry.path))
            return
        if entry.name.startswith("."):
            self.hidden += 1
        else:
            (self.videos if suffix in VIDEOS else self.others)[suffix or "without extension"] += 1

    def counts(self) -> str:
        """Return the numbers in words, such as "2 videos (.mp4), 1 hidden"; empty without any."""
        parts = [
            _count(counts, what) for what, counts in (("video", self.videos), ("other file", self.others)) if counts
        ]
        if self.volumes:
            parts.append(f"{len(self.volumes)} volume{'s' * (len(self.volumes) > 1)} of NIfTI")
        return ", ".join(parts + ([f"{self.hidden} hidden"] if self.hidden else []))

    def tell(self, where: object) -> None:
        """Issue a notice for the user of a dataset if there are such files."""
        if counts := self.counts():
            warnings.warn(f"{where}: left out {counts}; convert images among them to PNG", Notice, stacklevel=3)


def image_files(folder: Path, without: Path | None = None, left_out: LeftOut | None = None) -> list[Path]:
    """List the images of a folder and its subfolders, linked ones included, in the order of their names.

    Everything with the extension of an image is listed, so that reading can name what is no file. Folders of
    predictions and evaluations are left out, which a notice names, and so is the folder `without`. Other files and
    hidden entries are counted in `left_out`.
    """
    left_out = LeftOut() if left_out is None else left_out
    found = list(_walk(folder, frozenset(), None if without is None else os.path.realpath(without), left_out))
    if names := left_out.predictions:
        text = ", ".join(map(str, names[:3])) + (", ..." if len(names) > 3 else "")
        warnings.warn(f"{folder}: left out, because densepred wrote it: {text}", Notice, stacklevel=2)
    return found


def _count(suffixes: Counter[str], what: str) -> str:
    number = sum(suffixes.values())
    kinds = sorted(suffixes, key=lambda suffix: (-suffixes[suffix], suffix))
    names = ", ".join(kinds[:5]) + (", ..." if len(kinds) > 5 else "")
    return f"{number} {what}{'s' * (number > 1)} ({names})"


def is_predictions(folder: Path) -> bool:
    """Look for the record that densepred-predict leaves in its folder."""
    return record(folder) is not None


def _is_evaluation(folder: Path) -> bool:
    try:
        found = json.loads((folder / EVALUATION).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.keys() >= {"checkpoint", "split", "metrics"}


def record(folder: Path) -> dict[str, object] | None:
    """Return the record of a folder of predictions, None without one."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("command") == "densepred-predict" else None


def _walk(folder: Path, seen: frozenset[str], without: str | None, left_out: LeftOut) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in seen:
        return
    entries = _entries(folder)
    names = {entry.name for entry in entries}
    own = (RECORD in names and is_predictions(folder)) or (EVALUATION in names and _is_evaluation(folder))
    if seen and (real == without or own):
        left_out.predictions.append(folder)
        return
    for entry in entries:
        path = folder / entry.name
        hidden = entry.name.startswith(".")
        if path.suffix.lower() in EXTENSIONS and not hidden:
            yield path
        elif entry.is_dir() and not hidden:
            yield from _walk(path, seen | {real}, without, left_out)
        else:
            left_out.add(entry)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed: {error.strerror}; check its permissions") from error
