"""Inspect a dataset: build its splits, read every sample once, collect the findings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from densepred.contracts import Dataset
from densepred.errors import UserError
from densepred.inspection import classes, duplicates, images, objects
from densepred.inspection.facts import Facts
from densepred.inspection.finding import Finding, worst_first
from densepred.inspection.report import Report
from densepred.inspection.scan import scan
from densepred.jobs import overlap, parts
from densepred.settings import CheckSettings

SPLITS = ("train", "valid", "test")


def inspect(settings: CheckSettings) -> Report:
    """Return the report of `train`, `valid` and, if there is one, `test`."""
    findings: list[Finding] = []
    data = dict(_built(settings.dataset, findings))
    for one, other in combinations(data, 2):
        try:
            overlap.check(one, data[one], other, data[other], settings.data.allow_overlap)
        except UserError as error:
            fact, _, remedy = str(error).removeprefix("dataset.splits: ").partition("; ")
            findings.append(Finding("error", "shared_files", fact, remedy))
    workers = settings.data.workers
    count = min(8, os.cpu_count() or 1) if not isinstance(workers, int) else workers
    facts = {split: scan(one, split, count, settings.html is not None) for split, one in data.items()}
    names = list(next(iter(data.values())).info.classes) if data else []
    for split, found in facts.items():
        skip, cropped = settings.data.on_bad == "skip", settings.data.crop is not None
        findings += [*images.findings(split, found, skip, cropped), *objects.findings(split, found)]
    findings += [*classes.findings(names, facts), *duplicates.findings(facts)]
    if data:
        findings += _mirrored(next(iter(data.values())))
    summaries = {split: images.summary(found) for split, found in facts.items()}
    return Report(worst_first(findings), summaries, names, _shares(names, facts), facts)


def _built(node: Mapping[str, Any], findings: list[Finding]) -> Iterator[tuple[str, Dataset]]:
    """Yield the splits that can be built; the others become findings."""
    for split in SPLITS:
        try:
            data = parts.dataset(dict(node), split)
        except UserError as error:
            level, kind = ("note", "no_test") if split == "test" else ("error", "refused")
            fact, _, remedy = str(error).rpartition("; ")
            findings.append(Finding(level, kind, f"{split}: {fact or remedy}", remedy))
            continue
        if len(data):
            yield split, data
        else:
            findings.append(Finding("error", "empty_split", f"{split}: has no image", "check the paths of dataset"))


def _shares(names: list[str], facts: Mapping[str, list[Facts]]) -> dict[str, list[float]]:
    found = {}
    for split, rows in facts.items():
        table = classes.counts(rows, len(names)).sum(0).tolist()
        void = sum(one.void or 0 for one in rows)
        total = sum(table) + void
        if total:
            found[split] = [value / total for value in [*table, void]]
    return found


def _mirrored(data: Dataset) -> Iterator[Finding]:
    """Yield a finding if keypoints are named by side and no pairs are known."""
    info = data.info
    sided = [name for name in info.keypoints if "left" in name.lower() or "right" in name.lower()]
    if sided and not info.mirrored:
        yield Finding(
            "warning",
            "mirror_pairs",
            f"keypoints are named by side ({', '.join(sided[:3])}), but no pairs of them are known for flips",
            "name the pairs alike, such as left_eye and right_eye",
        )
