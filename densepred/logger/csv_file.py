"""All numbers in one table, `metrics.csv` of the run, with the columns step, epoch, name and value."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

FILE = "metrics.csv"
HEADER = ("step", "epoch", "name", "value")


class CsvFile:
    """One line per number, so that a score that comes later needs no column; `pandas.pivot_table` makes columns."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.path = folder / FILE

    def scalars(self, values: Mapping[str, float], step: int, epoch: int) -> None:
        new = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerows([*([HEADER] if new else []), *((step, epoch, *item) for item in values.items())])

    def image(self, name: str, image: np.ndarray, step: int) -> None:
        """A table holds no images."""

    def files(self) -> list[Path]:
        return [self.path]

    def flush(self) -> None:
        """Each entry is written at once."""

    def close(self, ended: str) -> None:
        """No file stays open."""
