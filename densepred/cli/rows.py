"""Rows of cells as text: aligned for the terminal, and as a table of Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def shown(value: Any) -> str:
    """Format a score: four decimals, two digits if small, two decimals if large; `-` if absent."""
    if isinstance(value, float):
        size = abs(value)
        return f"{value:.1e}" if 0 < size < 0.001 else f"{value:.4f}" if size < 10 else f"{value:.2f}"
    return "-" if value is None else str(value)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(f"{cell:{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:], ""])
