"""A project of DeepLabCut with two videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.dataset.files import picture, write

SIZE = (60, 80)
SPLITS = ("day1", "day2")
PARTS = ("snout", "tail")


def table(
    path: Path,
    rows: Mapping[str, Sequence[object]],
    animals: Sequence[str] = (),
    index: int = 3,
    parts: Sequence[str] = PARTS,
) -> None:
    """Write a table with the x and y of `parts` per row, and per animal, and a frame for each row."""
    named = [(animal, part, axis) for animal in animals or [""] for part in parts for axis in "xy"]
    blank = [""] * (index - 1)
    head = [["scorer", *blank, *["ada"] * len(named)]]
    head += [["individuals", *blank, *(name for name, _, _ in named)]] if animals else []
    head += [
        ["bodyparts", *blank, *(name for _, name, _ in named)],
        ["coords", *blank, *(name for _, _, name in named)],
    ]
    for name in rows:
        write(path.parent / name, picture(SIZE))
    places = {name: ["labeled-data", path.parent.name, name] for name in rows}
    body = [[*(places[name] if index == 3 else ["\\".join(places[name])]), *rows[name]] for name in rows]
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in head + body))


def tree(root: Path, split: str) -> None:
    rows = {f"img{i:03d}.png": [10 + i, 20, 40, 30] for i in range(20)}
    table(root / f"labeled-data/{split}/CollectedData_ada.csv", rows)
    (root / "config.yaml").write_text("Task: walk\nskeleton:\n- - snout\n  - tail\n- - snout\n  - ear\n")
