"""The file by which a search ends a run of its own early: the run validates, writes its summary, and is complete."""

from __future__ import annotations

from pathlib import Path

FILE = "pruned"


def ask(folder: Path) -> None:
    """Let the run in a folder end before its next step."""
    (folder / FILE).touch()


def asked(folder: Path) -> bool:
    """Return True if the run in a folder is to end."""
    return (folder / FILE).exists()
