"""All findings of a dataset, and their reports as text and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from densepred import output
from densepred.inspection import machine
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
    """Results of one inspection. `shares` has one row per split: the share of each class, void last."""

    findings: list[Finding]
    splits: dict[str, dict[str, Any]]
    classes: list[str]
    shares: dict[str, list[float]]
    facts: dict[str, list[Facts]]
    table: dict[str, Any] | None = None  # the classes.json that masks in colours need
    info: Info | None = None
    batch: dict[str, Any] | None = None  # the largest one that fits this machine, and what it follows from

    def to_json(self) -> dict[str, Any]:
        return {
            "splits": self.splits,
            "classes": self.classes,
            "shares": self.shares,
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


def _shares(names: Sequence[str], shares: Sequence[float] | None) -> list[str]:
    """Return the line on the pixels of the classes, the most frequent first; [] without class maps."""
    if shares is None:
        return []
    rows = sorted(zip([*names, "void"], shares, strict=True), key=lambda row: -row[1])
    kept = [f"{output.name(name)} {share:.1%}" for name, share in rows if share > 0]
    absent = sum(share == 0 for share in shares[:-1])
    more = [f"{len(kept) - MOST} more"] if len(kept) > MOST else []
    gone = [f"{absent} without a pixel"] if absent else []
    return [f"         classes {', '.join([*kept[:MOST], *more, *gone])}"]


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
        lines += _shares(report.classes, report.shares.get(split))
        lines += [f"         suggested crop {row['crop']}"] if row["crop"] else []
        lines += _stride(row)
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
