"""The table metrics.csv."""

from __future__ import annotations

import csv
from pathlib import Path

from densepred.logger.csv_file import CsvFile


def test_each_number_is_a_line_and_the_heading_stands_once(tmp_path: Path) -> None:
    for step in (1, 2):
        CsvFile(tmp_path, {}).scalars({"train/loss": 0.5 / step, "valid/iou/road, left": 0.25}, step, 0)
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["step", "epoch", "name", "value"]
    assert rows[1:] == [
        ["1", "0", "train/loss", "0.5"],
        ["1", "0", "valid/iou/road, left", "0.25"],
        ["2", "0", "train/loss", "0.25"],
        ["2", "0", "valid/iou/road, left", "0.25"],
    ]
