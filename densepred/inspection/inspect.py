"""Inspect a dataset: build its splits, read every sample once, collect the findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import Any

from densepred.contracts import Dataset
from densepred.dataset import unnamed
from densepred.errors import UserError, in_shell
from densepred.inspection import classes, counted, duplicates, heads, images, machine, objects, unusable
from densepred.inspection.chart import KEYPOINTS, PIXELS, VISIBLE, Chart, charts
from densepred.inspection.coarse import COMPARED
from densepred.inspection.facts import Facts
from densepred.inspection.finding import Finding, merged, worst_first
from densepred.inspection.report import Report
from densepred.inspection.scan import Scan, map_with_progress
from densepred.inspection.splits import Built, built
from densepred.jobs import overlap
from densepred.process import processors
from densepred.settings import CheckSettings
from densepred.types import Info


def inspect(settings: CheckSettings, words: Sequence[str] = ()) -> Report:
    """Return the report of `train`, `valid` and, if there is one, `test`; `words` were typed for it."""
    workers = settings.data.workers
    count = min(8, processors.count()) if not isinstance(workers, int) else workers
    found = built(settings.dataset, partial(map_with_progress, workers=count))
    data = found.data
    first = next(iter(data.values()), None)
    codecs = {} if first is None else heads.known(first.info)
    codecs = {task: codec for task, codec in codecs.items() if settings.for_task in (None, task)}
    scans = {
        split: Scan(one, settings.data.max_pixels, settings.html is not None, codecs, COMPARED * (split == "train"))
        for split, one in data.items()
    }
    facts = {split: map_with_progress(scan, range(len(data[split])), split, count) for split, scan in scans.items()}
    names = [] if first is None else list(first.info.classes)
    drawn = [] if first is None else charts(first.info, facts, settings.for_task)
    findings = [
        *found.findings,
        *_misnamed(found.node),
        *_shared(data, settings.data.allow_overlap),
        *_per_split(found, facts, settings, _conversion(words)),
        *heads.findings(facts.get("train", ()), codecs),
        *_counted(drawn, names, facts, found.node),
        *duplicates.findings(facts, found.node),
        *(() if first is None else _mirrored(first)),
        *(() if first is None or settings.for_task is None else _unfit(settings.for_task, first.info)),
    ]
    summaries = {split: images.summary(rows) for split, rows in facts.items()}
    info = None if first is None else first.info
    nameless = unnamed.remedy(names, found.node)
    return Report(worst_first(merged(findings)), summaries, names, drawn, facts, found.table, info, nameless)


def _conversion(words: Sequence[str]) -> str:
    """Return the command that writes the dataset in COCO's form, of the words that chose it."""
    chosen = " ".join(in_shell(word) for word in words if word.startswith(("dataset=", "dataset.")))
    return f"densepred-convert {chosen} output=DIR form=coco"


def _per_split(
    found: Built, facts: Mapping[str, list[Facts]], settings: CheckSettings, convert: str
) -> Iterator[Finding]:
    pose = settings.for_task in (None, "pose")
    skip, cropped = settings.data.on_bad == "skip", settings.data.crop is not None
    for split, rows in facts.items():
        yield from unusable.findings(split, found.data[split], rows, found.node, skip)
        yield from images.findings(split, rows, cropped, bool(found.data[split].info.keypoints) and pose)
        yield from objects.findings(split, rows, convert)


def _misnamed(node: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield a finding for a folder of data with a path that is no text, which the record of a run cannot hold."""
    root = str(node.get("root") or "")
    try:
        root.encode()
    except UnicodeEncodeError:
        yield Finding("error", "root", f"dataset.root={root}: the path is not UTF-8", "rename the folder")


def _shared(data: Mapping[str, Dataset], allowed: bool) -> Iterator[Finding]:
    """Yield a finding for each two splits that share files."""
    for one, other in combinations(data, 2):
        try:
            overlap.check(one, data[one], other, data[other], allowed)
        except UserError as error:
            fact, _, remedy = str(error).removeprefix("dataset.splits: ").partition("; ")
            yield Finding("error", "shared_files", fact, remedy)


def _counted(
    drawn: Sequence[Chart], names: Sequence[str], facts: Mapping[str, list[Facts]], node: Mapping[str, Any]
) -> Iterator[Finding]:
    """Yield the faults of classes and keypoints: of class maps, or of counts of objects."""
    mapped = any(chart.of == PIXELS for chart in drawn)
    for chart in drawn:
        if chart.of == PIXELS:
            yield from classes.findings(names, facts, node)
        elif chart.of != VISIBLE:
            yield from counted.findings(chart, classes.divided(node), not mapped or chart.of == KEYPOINTS)


def _unfit(task: str, info: Info) -> Iterator[Finding]:
    """Yield a finding if the dataset does not fit the task that is typed."""
    try:
        machine.built(task, info)
    except UserError as error:
        fact, _, remedy = str(error).removeprefix("task: ").partition("; ")
        yield Finding("error", "task", f"task={task}: {fact}", remedy)


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
