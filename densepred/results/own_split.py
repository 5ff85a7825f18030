"""The images of a split that a run did not record, such as test: those that its dataset has for it now."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from densepred.errors import Notice, UserError
from densepred.output import many
from densepred.results import recorded
from densepred.rundir import splits


def found(ckpt: str, run: Path, split: str, moved: Path | None, max_pixels: int) -> splits.Record:
    """Return the record of a split, with a notice, and another one if images of it were trained on.

    moved: where the dataset is now, instead of the root of the run

    Raises UserError if the dataset has no such split, or cannot be read.
    """
    from omegaconf import OmegaConf

    from densepred.build import contract
    from densepred.build.instantiate import build

    then = splits.read(run)
    listed = ", ".join(then.splits) if then is not None else "none"
    where = f"split={split}: {run / splits.FILE} has {listed}"
    _, settings = recorded.dataset(ckpt)
    if then is None or "root" not in settings:
        raise UserError(f"{where}, and the run names no dataset with files; choose one, or give input=FOLDER")
    config: Any = OmegaConf.create({"data": {"max_pixels": max_pixels}, "dataset": dict(settings)})
    config.dataset.root = str(then.root if moved is None else moved)
    try:
        node = OmegaConf.to_container(config, resolve=True)["dataset"]  # pyright: ignore
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Notice)  # of labels, which are not needed
            data = contract.make(build(node, None, "dataset"), "dataset", "dataset", split=split)
    except UserError as error:
        raise UserError(f"{where}, and of its dataset {error}, or give input=FOLDER") from error
    now = splits.record(config.dataset.root, {split: data})
    if now is None or not now.splits[split].count:
        raise UserError(f"{where}, and its dataset has no files of this split; choose one, or give input=FOLDER")
    text = f"split={split}: the run did not record it; {many(now.splits[split].count, 'image')} of its dataset"
    warnings.warn(f"{text} are predicted, below {now.root}", Notice, stacklevel=3)
    for fact in splits.trained_on(then, now):
        text = f"split={split}: {fact}; predictions of them look better than those of new images"
        warnings.warn(text, Notice, stacklevel=3)
    return now


def names(record: splits.Record, split: str) -> list[str]:
    """Return the paths of the images below the root. Raises UserError for those elsewhere."""
    listed = record.splits[split].names or []
    if outside := [name for name in listed if os.path.isabs(name) or ".." in Path(name).parts]:
        raise UserError(f"split={split}: {outside[0]} is not below {record.root}; give input=FOLDER")
    return listed
