"""All findings of a dataset, and their reports as text and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from densepred import output
from densepred.inspection import machine
from densepred.inspection.chart import KEYPOINTS, OBJECTS, PIXELS, VISIBLE, Chart
from densepred.inspection.facts import Facts
from densepred.inspection.finding import Finding
from densepred.output import many
from densepred.types import Info

FEW = 5
"""Samples that the text shows per finding; JSON has all."""

MOST = 12
"""Classes with their shares in the line of a split; JSON has all."""


@dataclass(slots=True)
class Report:
    """Results of one inspection. `charts` are the counts of pixels, objects and keypoints."""

    findings: list[Finding]
    splits: dict[str, dict[str, Any]]
    classes: list[str]
    charts: Sequence[Chart]
    facts: dict[str, list[Facts]]
    table: dict[str, Any] | None = None  # the classes.json that masks in colours need
    info: Info | None = None
    unnamed: str = ""  # how to give names to classes without any
    batch: dict[str, Any] | None = None  # the largest one that fits this machine, and what it follows from

    def to_json(self) -> dict[str, Any]:
        return {
            "splits": self.splits,
            "classes": self.classes,
            "unnamed": self.unnamed,
            "charts": [chart.to_json() for chart in self.charts],
            "classes_json": self.table,
            "batch": self.batch,
            "findings": [one.to_json() for one in self.findings],
        }


def _stride(row: Mapping[str, Any]) -> list[str]:
    """Return the line on the output stride; [] without class maps."""
    if row["stride"] is None:
        return []
    scores = ", ".join(f"{score:.2f} at {stride}" for stride, score in row["strides"].items())
    return [f"         predict at stride {row['stride']} or finer: a perfect model scores mean IoU {scores}"]


WORDS = {
    PIXELS: ("classes", "a pixel"),
    OBJECTS: ("objects", "an object"),
    KEYPOINTS: ("keypoints labelled:", "a label"),
    VISIBLE: ("keypoints visible:", "a visible one"),
}
"""Beginning of the line of a chart, and what an entry may be without."""


def _shares(chart: Chart, split: str) -> list[str]:
    """Return the line on the counts of a split, the most frequent first; [] if it has none."""
    if split not in chart.totals:
        return []
    rows = sorted(zip(chart.names, chart.counts[split], chart.shares(split), strict=True), key=lambda row: -row[1])
    form = "{0} {1} ({2:.1%})" if chart.of == OBJECTS else "{0} {2:.1%}"
    kept = [form.format(output.name(name), count, share) for name, count, share in rows if count]
    absent = sum(not count for name, count, _ in rows if (chart.of, name) != (PIXELS, "void"))
    word, what = WORDS[chart.of]
    more = [f"{len(kept) - MOST} more"] if len(kept) > MOST else []
    gone = [f"{absent} without {what}"] if absent else []
    return [f"         {word} {', '.join([*kept[:MOST], *more, *gone])}"]


def text(report: Report) -> str:
    """Return the findings, worst first, in lines for a terminal."""
    lines = ["densepred-check"] + ([""] if report.splits else [])
    for split, row in report.splits.items():
        sizes = ", ".join(f"{size} ({count})" for size, count in row["sizes"].items())
        objects = "" if row["objects"] is None else f" {many(row['objects'], 'object')},"
        if row["unreadable"] == row["images"]:
            lines += [f"  {split:<6} {many(row['images'], 'image')}, none of which could be read"]
            continue
        bad = f" ({row['unreadable']} unreadable)" if row["unreadable"] else ""
        lines += [f"  {split:<6} {many(row['images'], 'image')}{bad},{objects} sizes {sizes}"]
        depths = " and ".join(row["depths"])
        lines += [f"         {depths}, channels {row['channels']}, mean {row['mean']}, std {row['std']}"]
        lines += [line for chart in report.charts for line in _shares(chart, split)]
        lines += [f"         suggested crop {row['crop']}"] if row["crop"] else []
        lines += _stride(row)
    lines += [f"  {report.unnamed}"] if report.unnamed else []
    lines += [f"  {machine.line(report.batch)}"] if report.batch else []
    for one in report.findings:
        lines += ["", f"{one.level}: {one.kind}: {one.fact}"]
        if one.samples:
            more = f", and {len(one.samples) - FEW} more" if len(one.samples) > FEW else ""
            lines += [f"  samples: {', '.join(one.samples[:FEW])}{more}"]
        lines += [f"  remedy: {one.remedy}"]
        lines += [f"  type: {one.override}"] if one.override else []
    lines += [] if report.findings else ["", "nothing found"]
    return "\n".join(lines)
