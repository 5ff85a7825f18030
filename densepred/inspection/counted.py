"""Faults in counts of objects and of keypoints: what a split lacks, shares that differ between splits, what is rare."""

from __future__ import annotations

import math
from collections.abc import Iterator

from densepred.inspection.chart import KEYPOINTS, Chart
from densepred.inspection.classes import RARE, SHIFT
from densepred.inspection.finding import Finding
from densepred.output import many

CHANCE = 2.0
"""Multiple of the distance that chance gives two splits of one distribution, above which shares differ."""
LIKELY = 3.0
"""Standard deviations of the share of one keypoint, of which there are many, above which it differs."""
WORST = 3


def findings(chart: Chart, division: tuple[str, str], lacking: bool = True) -> Iterator[Finding]:
    """Yield the faults of a chart of objects or keypoints.

    division: how to divide the images at random in words, and the override
    lacking: tell what a split lacks; False where class maps tell it too
    """
    joints = chart.of == KEYPOINTS
    for split in chart.totals if lacking else ():
        yield from _missing(chart, split, division)
    if "train" in chart.totals:
        for other in [split for split in chart.totals if split != "train"]:
            yield from (_joint_shift if joints else _class_shift)(chart, other, division)
        if not joints:
            yield from _rare(chart)


def _missing(chart: Chart, split: str, division: tuple[str, str]) -> Iterator[Finding]:
    absent = [name for name, count in zip(chart.names, chart.counts[split], strict=True) if not count]
    if not absent:
        return
    effect = "are never learnt" if split == "train" else "have no score"
    if chart.of == KEYPOINTS:
        fact = f"{len(absent)} of {many(len(chart.names), 'keypoint')} are labelled in no instance and {effect}"
        remedy, kind = "label them, or leave them out of the file", "missing_keypoints"
    else:
        fact = f"{len(absent)} of {many(len(chart.names), 'class', 'classes')} have no object and {effect}"
        remedy, kind = "move images with them to this split, or leave the classes out", "missing_classes"
    text = f"{split}: {fact}: {', '.join(absent)}"
    yield Finding("warning", kind, text, f"{remedy}; or {division[0]}", override=division[1])


def _class_shift(chart: Chart, other: str, division: tuple[str, str]) -> Iterator[Finding]:
    """Yield one finding if the classes of the objects differ from those of training by more than chance.

    The measure is the total variation distance: half the sum of the absolute differences.
    """
    first, second = chart.shares("train"), chart.shares(other)
    distance = sum(abs(a - b) for a, b in zip(first, second, strict=True)) / 2
    if distance > max(SHIFT, CHANCE * by_chance(chart, other)):
        fact = f"{other}: {distance:.0%} of the objects have another class than in train ({_worst(chart, other)})"
        remedy = f"if the splits are yours to choose, {division[0]}"
        yield Finding("warning", "class_shift", fact, remedy, override=division[1])


def by_chance(chart: Chart, other: str) -> float:
    """Return the total variation distance that chance gives two splits of these sizes, of the classes of both.

    The difference of two shares is nearly normal, and its mean absolute value sqrt(2 / pi) standard deviations.
    """
    return sum(_deviations(chart, other)) * math.sqrt(2 / math.pi) / 2


def _deviations(chart: Chart, other: str) -> list[float]:
    """Return the standard deviation of the difference of each share, if both splits had the shares of both together."""
    sizes = chart.totals["train"], chart.totals[other]
    spread = 1 / sizes[0] + 1 / sizes[1]
    both = [sum(pair) / sum(sizes) for pair in zip(chart.counts["train"], chart.counts[other], strict=True)]
    return [math.sqrt(share * (1 - share) * spread) for share in both]


def _joint_shift(chart: Chart, other: str, division: tuple[str, str]) -> Iterator[Finding]:
    """Yield one finding if keypoints are labelled in another share of the instances than in training."""
    differ = [abs(a - b) for a, b in zip(chart.shares("train"), chart.shares(other), strict=True)]
    odd = sum(
        difference > max(SHIFT, LIKELY * deviation)
        for difference, deviation in zip(differ, _deviations(chart, other), strict=True)
    )
    if odd:
        fact = f"{other}: {odd} of {many(len(chart.names), 'keypoint')} are labelled in another share of the instances"
        text = f"{fact} than in train ({_worst(chart, other)})"
        remedy = f"label them alike; if the splits are yours to choose, {division[0]}"
        yield Finding("warning", "keypoint_shift", text, remedy, override=division[1])


def _worst(chart: Chart, other: str) -> str:
    """Return the names with the largest differences, with both shares."""
    rows = sorted(
        zip(chart.names, chart.shares("train"), chart.shares(other), strict=True), key=lambda row: -abs(row[1] - row[2])
    )
    return ", ".join(f"{name} {first:.1%} -> {second:.1%}" for name, first, second in rows[:WORST])


def _rare(chart: Chart) -> Iterator[Finding]:
    counts = chart.counts["train"]
    rare = [(name, n) for name, n in zip(chart.names, counts, strict=True) if 0 < n < RARE * max(counts)]
    if rare:
        named = ", ".join(f"{name} {n}" for name, n in rare)
        counted = many(len(rare), "class", "classes")
        fact = f"train: {counted} with under {RARE:.0%} of the objects of the most frequent one: {named}"
        remedy = "add images with them, or draw those that are there more often"
        yield Finding("note", "rare_classes", fact, remedy, override="data.balance=classes")
