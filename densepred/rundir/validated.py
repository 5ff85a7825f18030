"""Images, labels and metrics that the scores of a run were measured by. Runs that differ in them do not compare."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from densepred.errors import UserError
from densepred.output import many
from densepred.rundir import provenance

SPLITS = "splits.json"  # `splits.FILE`; that module imports torch
READING = ("channels", "mean", "std", "max_value", "window", "max_pixels", "on_bad", "outside")
"""Settings of a dataset on how images are read: what is compared may differ in them."""
CHOOSING = ("root", "splits", "split", "list", "folds", "fold", "seed", "group", "limit", "most_instances", "unpaired")
CHOOSING += ("images", "image_suffix", "counts")
"""Settings that choose the images: they say nothing more where the list of images is known."""
TRAINING = "train"  # last part of keys such as dataset.counts.train
FEW = 3  # settings that a sentence names


@dataclass(frozen=True, slots=True)
class Validated:
    """The validation of a run.

    root, digest: of the list of images, None without one
    settings: those of the dataset and of the metrics, by dotted key; {} if they are not known
    classes: names by kind of score
    """

    root: str | None = None
    digest: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    classes: Mapping[str, frozenset[str]] = field(default_factory=dict)


def read(folder: Path) -> Validated:
    """Return what is known of a run's validation, or of the split of an evaluation; damaged files count as absent."""
    record = _json(folder / SPLITS)
    listed = record.get("splits")
    valid = listed.get("valid") if isinstance(listed, dict) else None
    valid = valid if isinstance(valid, dict) else {}
    scored = _json(folder / "metrics.json")
    settings = _evaluated(scored) if scored else _configured(folder / "config.yaml")
    best = scored.get("metrics") if scored else _json(folder / "summary.json").get("best")
    root, digest = record.get("root"), valid.get("digest")
    return Validated(
        root if isinstance(root, str) else None,
        digest if isinstance(digest, str) else None,
        settings,
        _classes(best if isinstance(best, dict) else {}),
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _configured(path: Path) -> dict[str, Any]:
    try:
        flat = provenance.flatten(provenance.configuration(path) if path.is_file() else {})
    except UserError:
        return {}
    return {key: value for key, value in flat.items() if key.startswith(("dataset.", "metric."))}


def _evaluated(facts: Mapping[str, Any]) -> dict[str, Any]:
    settings = facts.get("settings")
    found = {"dataset.split": facts["split"]} if "split" in facts else {}
    for part in ("dataset", "metric"):
        node = settings.get(part) if isinstance(settings, dict) else None
        found |= provenance.flatten(node, f"{part}.") if isinstance(node, dict) else {}
    return found


def _classes(scores: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for name in scores:
        kind, slash, one = name.partition("/")
        if slash and kind not in ("loss", "probe"):
            found.setdefault(kind, set()).add(one)
    return {kind: frozenset(names) for kind, names in found.items()}


def unlike(one: Validated, other: Validated) -> list[str]:
    """Return in what two validations differ, in words; [] if their scores compare."""
    return [*_images(one, other), *_settings(one, other), *_names(one, other)]


def _images(one: Validated, other: Validated) -> Iterator[str]:
    if None in (one.digest, other.digest):
        return
    if one.digest != other.digest:
        yield "validation images"
    elif os.path.realpath(one.root or "") != os.path.realpath(other.root or ""):
        yield "the folder of equally named images (dataset.root)"


def _settings(one: Validated, other: Validated) -> Iterator[str]:
    if not one.settings or not other.settings:
        return
    listed = None not in (one.digest, other.digest)
    absent = object()
    keys = [
        key
        for key in sorted(one.settings.keys() | other.settings.keys())
        if one.settings.get(key, absent) != other.settings.get(key, absent) and _scoring(key, listed)
    ]
    metrics = [{key.split(".")[1] for key in each.settings if key.startswith("metric.")} for each in (one, other)]
    common = metrics[0] & metrics[1]
    if all(metrics) and not common:
        yield f"metrics ({', '.join(sorted(metrics[0]))} and {', '.join(sorted(metrics[1]))})"
    keys = [key for key in keys if not key.startswith("metric.") or key.split(".")[1] in common]
    if "dataset._target_" in keys:  # its other settings are those of another kind of dataset
        keys = [key for key in keys if not key.startswith("dataset.") or key == "dataset._target_"]
    names = [*dict.fromkeys(".".join(key.split(".")[: 2 if key.startswith("dataset.") else 3]) for key in keys)]
    if names:
        words = ["the kind of dataset" if name == "dataset._target_" else name for name in names[:FEW]]
        yield ", ".join(words) + (f" and {many(len(names) - FEW, 'other setting')}" if len(names) > FEW else "")


def _scoring(key: str, listed: bool) -> bool:
    """Return True if a setting decides what is scored: the images, their labels or the score itself."""
    part = key.split(".")[1]
    if key.startswith("dataset.") and (part in READING or key.split(".")[-1] == TRAINING):
        return False
    return not (key.startswith("dataset.") and listed and part in CHOOSING)


def _names(one: Validated, other: Validated) -> Iterator[str]:
    if any(one.classes[kind] != other.classes[kind] for kind in one.classes.keys() & other.classes.keys()):
        yield "classes"


def sentences(found: Sequence[tuple[str, Validated]]) -> list[str]:
    """Return a sentence per kind of difference between the first of several validations, by name, and the others."""
    by: dict[str, list[str]] = {}
    for name, each in found[1:]:
        if reasons := unlike(found[0][1], each):
            by.setdefault("; ".join(reasons), []).append(name)
    return [
        f"The validations of {found[0][0]} and of {', '.join(names)} differ in {reasons}: their scores do not compare."
        for reasons, names in by.items()
    ]
