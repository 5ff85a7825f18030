"""Notices on the run behind `weights.*`: its training images, and its reading of images."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from densepred.build.allowlist import check_info
from densepred.contracts import Dataset
from densepred.errors import Notice
from densepred.hub import zoo
from densepred.jobs import parts
from densepred.rundir import splits
from densepred.settings import TrainSettings
from densepred.types import Info, UserError
from densepred.weights.header import find_weights, has_description, read_header

KEYS = ("init", "encoder", "model")


def tell(settings: TrainSettings, train: Dataset, valid: Dataset) -> None:
    """Issue a notice if the run behind `weights.*` was trained on images of `valid`, or read images otherwise."""
    for key in KEYS:
        source = getattr(settings.weights, key)
        if not source or zoo.is_name(source):
            continue
        path = find_weights(source)
        for fact in (*_trained_on(path, settings.dataset, valid), *_read_otherwise(path, train.info)):
            warnings.warn(f"weights.{key}={source}: {fact}", Notice, stacklevel=2)


def _trained_on(path: Path, node: dict[str, Any], valid: Dataset) -> Iterator[str]:
    """Yield a sentence if the run's splits.json has images of `valid`; if its dataset was moved, below the new root."""
    now, then = parts.record(node, {"valid": valid}), splits.read(path.parent)
    if now is None or then is None or "train" not in then.splits:
        return
    trained = _paths(then.root if os.path.isdir(then.root) else now.root, then.splits["train"].names)
    if common := sorted({*_paths(now.root, now.splits["valid"].names)} & {*trained}):
        names = splits.few([os.path.relpath(one, os.path.realpath(now.root)) for one in common])
        share = f"{len(common)} of the {now.splits['valid'].count} validation images"
        yield (
            f"{share} are training images of that run ({names}), so scores on them are too high; start from a run "
            "with this split, or from other weights"
        )


def _paths(root: str, names: list[str] | None) -> list[str]:
    folder = os.path.realpath(root)
    return [os.path.join(folder, name) for name in names or ()]


def _read_otherwise(path: Path, info: Info) -> Iterator[str]:
    """Yield a sentence for each setting that gives the first layer other values than in that run."""
    described = read_header(path) if has_description(path) else {}
    try:
        check_info(described["info"])
        former = Info.from_json(described["info"])
    except (UserError, KeyError):  # of another program, or refused where it counts
        return
    pairs: dict[str, tuple[object, object]] = {"window": (former.window, info.window)}
    if former.channels == info.channels:
        pairs["channels"] = (_bands(former), _bands(info))
    if former.max_value is not None and info.max_value is not None:
        pairs["max_value"] = (former.max_value, info.max_value)
    for key, (one, two) in pairs.items():
        if one != two:
            before, now = (json.dumps(value, separators=(",", ":")) for value in (one, two))
            yield (
                f"dataset.{key} was {before} in that run and is {now} here, so its first layer meets other values; "
                f"type dataset.{key}={before} to read images alike"
            )


def _bands(info: Info) -> tuple[int, ...]:
    return info.bands or tuple(range(1, info.channels + 1))
