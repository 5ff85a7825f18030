"""Text for the terminal: aligned blocks, tables of scores, numbers and durations."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence

from densepred import output

UNDEFINED = "-"


def in_notebook() -> bool:
    """Return True in the kernel of a notebook: its output is no terminal, but bars are visible there."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and hasattr(shell, "kernel")


def is_terminal() -> bool:
    """Return True if messages are read on a terminal."""
    return sys.stderr.isatty()


def after_interrupt() -> None:
    """Begin a new line on a terminal, which shows ^C where the cursor was."""
    if is_terminal():
        print(file=sys.stderr, flush=True)


def block(rows: Mapping[str, str]) -> str:
    """Return aligned lines `name  value`."""
    shown = {output.name(name): output.clean(value) for name, value in rows.items()}
    width = max(map(len, shown))
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in shown.items())


def few(names: Sequence[str], width: int) -> str:
    """Return the first names that fit `width` characters, at least one, and an ellipsis for the others."""
    count = 1
    while count < len(names) and len(", ".join(names[: count + 1])) <= width - len(", ..."):
        count += 1
    return ", ".join([*names[:count], *(["..."] if count < len(names) else [])])


def number(value: float | None) -> str:
    """Format with four decimals, or with three significant digits below 0.01; whole numbers (int) as they are."""
    if value is None:
        return UNDEFINED
    if isinstance(value, int):
        return str(value)
    return f"{value:.3g}" if 0 < abs(value) < 0.01 else f"{value:.4f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table: the first column aligned to the left, the others at their decimal points."""
    header, rows = [output.name(cell) for cell in header], [[output.name(cell) for cell in row] for row in rows]
    rows = list(zip(*map(_aligned, zip(*rows, strict=True)), strict=True)) if rows else []
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            f"{c:<{w}}" if i == 0 else f"{c:>{w}}" for i, (c, w) in enumerate(zip(cells, widths, strict=True))
        )

    return "\n".join("  " + text for text in [line(header), "  ".join("-" * w for w in widths), *map(line, rows)])


def _aligned(column: Sequence[str]) -> Sequence[str]:
    """Fill numbers of a column with spaces at their ends, so that points stand below each other."""
    found = [re.fullmatch(r"(-|-?[0-9]+)(\.[0-9]+)?(e[-+][0-9]+)?", cell) for cell in column]
    after = [len(cell) - match.end(1) for cell, match in zip(column, found, strict=True) if match is not None]
    if len(after) < len(column):
        return column
    return [cell + " " * (max(after) - length) for cell, length in zip(column, after, strict=True)]


def scores(values: Mapping[str, float | None]) -> str:
    """Return metrics as tables: `iou/car` is row `car` of column `iou`; names without a slash make a list.

    Scores with the same rows share a table: one for classes, others for widths or bins.
    """
    columns: dict[str, dict[str, float | None]] = {}
    whole: dict[str, str] = {}
    for name, value in values.items():
        score, _, part = name.partition("/")
        if part and score not in ("loss", "probe"):
            columns.setdefault(score, {})[part] = value
        else:
            whole[name] = number(value)
    tables: list[list[str]] = []
    for score, parts in columns.items():
        group = next((group for group in tables if parts.keys() <= columns[group[0]].keys()), None)
        if group is None:
            tables.append([score])
        else:
            group.append(score)
    texts = [_parts({score: columns[score] for score in group}) for group in tables]
    return "\n\n".join([*texts, *([block(whole)] if whole else [])])


def _parts(columns: Mapping[str, Mapping[str, float | None]]) -> str:
    """Return a table of scores; the rows are those of the first."""
    rows = next(iter(columns.values()))
    first = "at" if all(part.replace(".", "").replace("-", "").isdigit() for part in rows) else "class"
    return table([first, *columns], [[row, *(number(c.get(row)) for c in columns.values())] for row in rows])


def count(value: int) -> str:
    """1234567 -> 1.23 M"""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return str(value)


def duration(seconds: float) -> str:
    """3723 -> 1:02:03"""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
