"""Samples that cannot be used, by cause: damaged files, masks that do not fit their classes or images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from densepred.contracts import Dataset
from densepred.inspection import edges
from densepred.inspection.facts import Facts
from densepred.inspection.finding import Finding
from densepred.inspection.override import typed
from densepred.types import VOID

WORDS = {
    "unreadable": "samples cannot be read",
    "orientation": "images are turned by EXIF, and their masks fit both orientations",
    "sizes_differ": "masks have another size than their images",
    "unknown_labels": "masks hold ids of no class",
    "unknown_colours": "masks hold colours of no class",
    "colour_masks": "masks are coded by colours, and no class has a colour",
    "blended_masks": "masks are anti-aliased: they hold values between their labels",
}


def findings(
    split: str, data: Dataset, found: Sequence[Facts], node: Mapping[str, Any], skip: bool
) -> Iterator[Finding]:
    """Yield the samples of a split that cannot be used.

    node: of the dataset
    skip: data.on_bad=skip is set
    """
    bad = [one for one in found if one.error is not None]
    skipped = skip and len(bad) < len(found) and split == "train"
    level = "note" if skipped else "warning" if split == "test" else "error"  # training reads no test images
    for cause in dict.fromkeys(one.cause for one in bad):
        rows = [one for one in bad if one.cause == cause]
        fact = f"{split}: {len(rows)} of {len(found)} {WORDS.get(cause, cause)}; the first: {rows[0].error}"
        remedy, override = _remedy(cause, rows, data, node)
        if split == "train" and not skip:
            remedy += "; data.on_bad=skip trains without them"
        yield Finding(level, cause, fact, remedy, tuple(one.id for one in rows), override)


def _remedy(cause: str, rows: Sequence[Facts], data: Dataset, node: Mapping[str, Any]) -> tuple[str, str]:
    """Return the remedy in words, and the override if there is one."""
    labels = sorted({value for one in rows for value in one.labels})
    known = dict(node.get("label_map") or {})
    if cause == "orientation":
        return edges.remedy(data, {one.id for one in rows})
    if cause == "unknown_labels" and labels == [VOID] and "label_map" in node:
        second = len(data.info.classes) == 2 and all("second class" in str(one.error) for one in rows)
        words = typed("dataset.label_map", known | {VOID: 1}) if second else typed("dataset.ignore_index", VOID)
        return "correct them, or, " + str(rows[0].error).rpartition("; ")[2].partition(", add")[0], words
    if cause == "unknown_labels" and labels and "label_map" in node:
        as_void = typed("dataset.label_map", known | dict.fromkeys(labels, VOID))
        return "correct them, or raise dataset.classes, or read these ids as void", as_void
    if cause == "blended_masks" and labels and len(data.info.classes) == 2:
        split_at = {value: int(value >= labels[-1] / 2) for value in labels}
        return "separate the labels at half of the highest value", typed("dataset.label_map", split_at | known)
    if cause == "unreadable":
        return "replace or remove these files", ""
    return str(rows[0].error).rpartition("; ")[2], ""
