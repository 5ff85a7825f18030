"""A report as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from densepred.reporting.compare import Group
from densepred.reporting.report import DIFFER, Report

Cell = str | float | int | None


def shown(value: Cell) -> str:
    """Format a cell: four decimals, thousands in whole numbers, a dash for undefined."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return (
        f"{value:.4f}"
        if isinstance(value, float) and abs(value) < 10
        else f"{value:.1f}"
        if isinstance(value, float)
        else value
    )


def as_csv(report: Report) -> str:
    """Return the table of runs, numbers in full precision."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(report.columns)
    writer.writerows([["" if value is None else value for value in row] for row in report.rows])
    return text.getvalue()


def as_markdown(report: Report) -> str:
    """Return the tables and sentences of a report; charts are in the HTML file."""
    parts = [f"# {report.title}", "## Runs", table(report.columns, report.rows)]
    if repeated(report):
        parts += ["## Seeds", table(SEEDS, seeds(report.groups))]
    if report.tests:
        parts += ["## Significance", "\n".join(f"- {test.sentence()}" for test in report.tests)]
    if report.front:
        parts += ["## Quality against speed", f"Pareto front: {', '.join(sorted(report.front))}"]
    for name, worst in report.worst.items():
        parts += [f"## Worst images of {name}", table(["image", worst.metric], [list(one) for one in worst.images])]
    if report.notes:
        parts += ["## Notes", "\n".join(f"- {note}" for note in report.notes)]
    return "\n\n".join(parts) + "\n"


SEEDS = ["setting", "runs", "mean", "standard deviation", "least", "largest"]


def seeds(groups: Sequence[Group]) -> list[list[Cell]]:
    """Return a row per setting: overrides that not all share, number of runs, mean and spread of the scores."""
    rows: list[list[Cell]] = []
    shared = set.intersection(*(set(group.setting) for group in groups)) if len(groups) > 1 else set()
    for group in groups:
        scores = [run.score for run in group.runs if run.score is not None]
        ends: list[Cell] = [min(scores), max(scores)] if scores else [None, None]
        rows.append(
            [
                " ".join(word for word in group.setting if word not in shared) or "defaults",
                len(group.runs),
                group.mean,
                group.spread,
                *ends,
            ]
        )
    return rows


def repeated(report: Report) -> bool:
    """Return True if a setting has runs with several seeds."""
    return any(len(group.runs) > 1 for group in report.groups)


def summary(report: Report) -> tuple[list[str], list[list[str]]]:
    """Return the table for a terminal, header and rows: settings with their seeds, or runs with their overrides."""
    if repeated(report):
        header = ["setting", "runs", "mean", "std", "min", "max"]
        return header, [[shown(value) for value in row] for row in seeds(report.groups)]
    apart = report.columns.index(DIFFER)
    names = ("run", *([DIFFER] if any(row[apart] for row in report.rows) else []), "metric", "score")
    first = [report.columns.index(name) for name in names]
    return [report.columns[i] for i in first], [[shown(row[i]) for i in first] for row in report.rows]


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a Markdown table."""
    cells = [[shown(value).replace("|", "\\|") for value in row] for row in rows]
    lines = [list(header), ["---"] * len(header), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
