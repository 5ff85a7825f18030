"""Record of the results that the last command wrote, apart from those that stay of former ones. Free of torch."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from densepred import atomic
from densepred.dataset.listing import RECORD, record
from densepred.errors import Notice
from densepred.results.inputs import KINDS

FILES = ("images", "panoptic", "instances", "detections", "keypoints")
"""Files of JSON about all images, without their extension."""
KEY = "written"


def note(output: Path, names: Iterable[str]) -> None:
    """Record the folders and files that this command wrote, with a notice about results that are not of it.

    names: relative to `output`; those of folders may end in a slash
    """
    found = record(output)
    if found is None:
        return
    ours = sorted({name.rstrip("/") for name in names})
    known = (*KINDS, *(f"{name}.json" for name in FILES))
    if others := [name for name in known if name not in ours and (output / name).exists()]:
        text = f"{', '.join(others)}: not of this command, and kept; remove them, or choose another output"
        warnings.warn(f"output={output}: {text}", Notice, stacklevel=2)
    atomic.write_json(output / RECORD, {**found, KEY: ours})


def of_last(folder: Path, files: Sequence[str]) -> list[str]:
    """Return those of the files (see FILES) that are there, without those that the last command has not written."""
    ours = (record(folder) or {}).get(KEY)
    there = [name for name in files if (folder / f"{name}.json").is_file()]
    return [name for name in there if f"{name}.json" in ours] if isinstance(ours, list) else there
