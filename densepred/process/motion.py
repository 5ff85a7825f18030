"""Processes that move or stand still, as /proc shows them: which of them take time of the processor."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

PATIENCE = 120.0
"""Seconds without a move after which a command counts as hung, unless it told of a longer wait."""

TICKS = 2
"""Ticks of the processor between two looks from which a process moves; threads that only wake take fewer."""


class Motion:
    """Look again and again whether a process or one of its descendants moves."""

    def __init__(self, ancestor: int) -> None:
        self.ancestor = ancestor
        self.ticks: dict[int, float] = {}

    def seen(self, own: float = 0.0) -> bool:
        """Return True if one has moved since the last look, or waits for a disk, or is halted.

        own: the ticks of the first process that the looks themselves have taken so far
        """
        now = family(self.ancestor)
        ticks = {pid: one.ticks - (own if pid == self.ancestor else 0.0) for pid, one in now.items()}
        moves = any(pid not in self.ticks or ticks[pid] - self.ticks[pid] >= TICKS for pid in now)
        self.ticks = ticks
        return moves or any(one.state in "DT" for one in now.values())


class Move(NamedTuple):
    """A process as /proc shows it: its parent, the ticks of the processor that it has taken, and its state."""

    parent: int
    ticks: int
    state: str


def family(ancestor: int) -> dict[int, Move]:
    """Return a process and its descendants, those that have ended and wait for their parent left out."""
    every = {int(name): found for name in os.listdir("/proc") if name.isdecimal() and (found := look_up(name))}
    found = {ancestor: every[ancestor]} if ancestor in every else {}
    grown = True
    while grown:
        more = {pid: one for pid, one in every.items() if pid not in found and one.parent in found}
        found.update(more)
        grown = bool(more)
    return {pid: one for pid, one in found.items() if one.state not in "ZX"}


def look_up(pid: int | str | None) -> Move | None:
    """Return how a process moves; None if it has ended, and where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return Move(int(fields[1]), int(fields[11]) + int(fields[12]), fields[0])
