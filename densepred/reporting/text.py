"""A report as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence

from densepred.reporting.compare import Group
from densepred.reporting.report import DIFFER, MEMORY, Report

Cell = str | float | int | None
CELL = 80
"""Characters that a table on a terminal keeps of a cell."""


COSTS = ("images/s", "minutes", *MEMORY)


def shown(value: Cell, column: str = "") -> str:
    """Format a cell: four decimals, two digits if small or a cost, thousands in whole numbers, a dash for undefined."""
    if value is None:
        return "-"
    if column in COSTS and isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 1 else f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.2g}" if 0 < abs(value) < 0.001 else f"{value:.4f}" if abs(value) < 10 else f"{value:.1f}"
    return value


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
    if report.speeds:
        fronts = [f"- {metric}: {', '.join(sorted(one.front))}" for metric, one in report.speeds.items()]
        parts += ["## Quality against speed", "\n".join(["Pareto front of each metric:", "", *fronts])]
    for name, worst in report.worst.items():
        title = f"## Worst images of {name} ({report.conditions[name]})"
        parts += [title, table(["image", worst.metric], [list(one) for one in worst.images])]
    if report.notes:
        parts += ["## Notes", "\n".join(f"- {note}" for note in report.notes)]
    return "\n\n".join(parts) + "\n"


SEEDS = ["setting", "runs", "mean", "standard deviation", "least", "largest"]


def seeds(groups: Sequence[Group]) -> list[list[Cell]]:
    """Return a row per setting: overrides that not all share, number of runs, mean and spread of the scores."""
    rows: list[list[Cell]] = []
    for group in groups:
        scores = [run.score for run in group.runs if run.score is not None]
        ends: list[Cell] = [min(scores), max(scores)] if scores else [None, None]
        rows.append(
            [
                " ".join(apart(group, groups)) or "defaults",
                len(group.runs),
                group.mean,
                group.spread,
                *ends,
            ]
        )
    return rows


def apart(group: Group, groups: Sequence[Group]) -> list[str]:
    """Return the overrides of a setting that not all settings share."""
    shared = set.intersection(*(set(one.setting) for one in groups)) if len(groups) > 1 else set()
    return [word for word in group.setting if word not in shared]


def repeated(report: Report) -> bool:
    """Return True if a setting has runs with several seeds."""
    return any(len(group.runs) > 1 for group in report.groups)


def summary(report: Report, width: int) -> tuple[list[str], list[list[str]]]:
    """Return the table for a terminal, header and rows: settings with their seeds, or runs with their overrides.

    Overrides that few runs share come first, and those that do not fit into `width` characters are counted.
    """
    if repeated(report):
        header = ["setting", "runs", "mean", "std", "min", "max"]
        texts = [[shown(value) for value in row] for row in seeds(report.groups)]
        words = [apart(group, report.groups) for group in report.groups]
        return header, _fitted(header, texts, 0, words, width)
    place = report.columns.index(DIFFER)
    names = ("run", *([DIFFER] if any(row[place] for row in report.rows) else []), "metric", "score")
    first = [report.columns.index(name) for name in names]
    rows = [[shown(row[i]) for i in first] for row in report.rows]
    if DIFFER not in names:
        return list(names), rows
    return list(names), _fitted(names, rows, 1, [report.differing[str(row[0])] for row in report.rows], width)


def _fitted(
    header: Sequence[str], rows: Sequence[list[str]], place: int, words: Sequence[Sequence[str]], width: int
) -> list[list[str]]:
    """Fill column `place` with the overrides of each row, as many as the width leaves room for.

    Of equally shared ones choices of a group come first: single settings may follow from them.
    """
    others = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header)) if i != place]
    room = min(max(width - 2 - sum(others) - 2 * len(others), len(header[place]), 20), CELL)
    shared = Counter(word for one in words for word in one)
    ranked = [sorted(one, key=lambda word: (shared[word], "." in word.partition("=")[0])) for one in words]
    return [
        [*row[:place], short(one, room) if one else row[place], *row[place + 1 :]]
        for row, one in zip(rows, ranked, strict=True)
    ]


def short(words: Sequence[str], room: int) -> str:
    """Return the first words that fit into `room` characters, and the number of the others; the first may be cut."""
    for count in range(len(words), 0, -1):
        rest = f" +{len(words) - count}" if count < len(words) else ""
        text = " ".join(words[:count])
        if len(text) + len(rest) <= room:
            return text + rest
    rest = f"... +{len(words) - 1}" if len(words) > 1 else "..."
    return words[0][: room - len(rest)] + rest


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a Markdown table."""
    cells = [[shown(value, name).replace("|", "\\|") for name, value in zip(header, row, strict=True)] for row in rows]
    lines = [list(header), ["---"] * len(header), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
