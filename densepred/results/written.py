"""Record of the results that the last command wrote, apart from those that stay of former ones. Free of torch."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from densepred import atomic
from densepred.dataset.listing import RECORD, record
from densepred.errors import Notice
from densepred.results.inputs import KINDS
from densepred.settings import PredictSettings

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


def tell_missing(settings: Any, kinds: Collection[str], scored: bool) -> None:
    """Tell which files were asked for and do not exist, and which settings had no effect on what was predicted.

    kinds: of the results that were written; scored: does what the model predicts have a score
    """
    missing = []
    if settings.probabilities and "probabilities" not in kinds:
        missing.append("probabilities=true: the model of this checkpoint predicts none")
    if settings.uncertainty and "uncertainty" not in kinds:
        missing.append("uncertainty=true: the model of this checkpoint predicts no probabilities of classes")
    if settings.threshold != PredictSettings.threshold and settings.overlay and not scored:
        missing.append(f"threshold={settings.threshold:g}: has no effect: this model predicts nothing with a score")
    if settings.coco_ids and not scored:
        missing.append(f"coco_ids={settings.coco_ids}: has no effect: this model predicts nothing for a COCO file")
    for text in missing:
        warnings.warn(text, Notice, stacklevel=2)


def of_last(folder: Path, files: Sequence[str]) -> list[str]:
    """Return those of the files (see FILES) that are there, without those that the last command has not written."""
    ours = (record(folder) or {}).get(KEY)
    there = [name for name in files if (folder / f"{name}.json").is_file()]
    return [name for name in there if f"{name}.json" in ours] if isinstance(ours, list) else there
