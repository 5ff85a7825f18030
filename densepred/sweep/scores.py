"""Scores of the validations of a job, read from its metrics.jsonl while it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = "metrics.jsonl"


class Scores:
    """Reads each line once. A job that goes on writes the lines after its checkpoint again."""

    def __init__(self, folder: Path) -> None:
        self.file, self.read = folder / FILE, 0

    def new(self, monitor: str) -> list[tuple[int, float]]:
        """Return the steps and scores of validations since the last call; undefined scores are left out."""
        found = []
        for line in self._lines():
            values = _parsed(line)
            value = values.get(f"valid/{monitor}")
            if isinstance(value, int | float) and isinstance(values.get("step"), int):
                found.append((values["step"], float(value)))
        return found

    def _lines(self) -> list[bytes]:
        """Return the complete lines that were not read before."""
        try:
            with self.file.open("rb") as file:
                if file.seek(0, 2) < self.read:
                    self.read = 0
                file.seek(self.read)
                whole = file.read().rpartition(b"\n")[0]
        except OSError:
            return []
        self.read += len(whole) + 1 if whole else 0
        return whole.splitlines()


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
