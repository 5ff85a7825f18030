"""Tables of DeepLabCut's labels: CollectedData_<scorer>.csv beside the frames of each video, or else its .h5."""

from __future__ import annotations

import csv
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from densepred.dataset import dlc_h5
from densepred.dataset.facts import counted
from densepred.dataset.file_names import normal
from densepred.dataset.paths import Absent
from densepred.errors import Notice, UserError, shown

UNIQUE = "single"
"""The individual under which DeepLabCut lists parts that occur once in a frame, such as the corners of a cage."""
HEADINGS = ("scorer", "individuals", "bodyparts", "coords")
FAR = 1e6  # pixels, as in COCO's files

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` holds individual, body part and coordinate of each column of values; `index` columns name the frame."""

    path: Path
    index: int
    columns: list[tuple[str, str, str]]
    lines: list[tuple[int, list[str]]]

    def parts(self, unique: bool = False) -> list[str]:
        """Return the body parts of the animals, or the unique ones, in the order of the file."""
        return list(dict.fromkeys(part for animal, part, _ in self.columns if (animal == UNIQUE) == unique))

    def rows(self) -> Iterator[tuple[str, str, dict[str, dict[str, Point]]]]:
        """Yield the place in the file, the frame's file name, and the labelled parts of each animal."""
        for number, cells in self.lines:
            place = f"{self.path.parent.name}/{self.path.name}, line {number}"
            name = normal("/".join(cell for cell in cells[: self.index] if cell)).rpartition("/")[2]
            yield place, name, self._animals(cells[self.index :], f"{self.path}: line {number}")

    def _animals(self, cells: Sequence[str], where: str) -> dict[str, dict[str, Point]]:
        if len(cells) != len(self.columns):
            raise UserError(
                f"{where}: has {counted(len(cells), 'values')} for {counted(len(self.columns), 'columns')}; complete it"
            )
        found: dict[tuple[str, str], dict[str, float]] = {}
        for (animal, part, coordinate), cell in zip(self.columns, cells, strict=True):
            if animal != UNIQUE and (value := _number(cell, where)) is not None:
                found.setdefault((animal, part), {})[coordinate] = value
        out: dict[str, dict[str, Point]] = {}
        for (animal, part), at in found.items():
            if at.keys() != {"x", "y"}:
                raise UserError(f"{where}: {shown(part)} has {' and '.join(at)} alone; give x and y, or neither")
            out.setdefault(animal, {})[part] = (at["x"], at["y"])
        return out


def find(folder: Path, scorer: str | None) -> list[Table]:
    """Read the table of each video below a folder. Raises UserError if one has several, or Absent without any."""
    pattern = f"CollectedData_{scorer or '*'}"
    files = sorted(folder.glob(f"*/{pattern}.csv"))
    named = {path.with_suffix("") for path in files}
    files = sorted([*files, *(path for path in folder.glob(f"*/{pattern}.h5") if path.with_suffix("") not in named)])
    if not files:
        raise Absent(f"{folder}: holds no video folder with {pattern}.csv; set dataset.root to DeepLabCut's project")
    for first, second in pairwise(files):
        if first.parent == second.parent:
            names = ", ".join(path.stem.partition("_")[2] for path in (first, second))
            raise UserError(f"{first.parent}: labels of several people ({names}); choose one by dataset.scorer")
    return [_read(path) for path in files]


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Return the cells of each line of a table, with its number."""
    if path.suffix == ".h5":
        return list(enumerate(dlc_h5.rows(path), 1))
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            return [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as a table ({error}); save the labels again") from error


def _read(path: Path) -> Table:
    rows = _lines(path)
    head = {row[0]: row for _, row in rows[: len(HEADINGS)] if row and row[0] in HEADINGS}
    if not set(HEADINGS) - {"individuals"} <= head.keys():
        raise UserError(f"{path}: has no lines scorer, bodyparts and coords; save the labels again in DeepLabCut")
    coords = head["coords"]
    index = next((place for place, cell in enumerate(coords) if cell in ("x", "y")), len(coords))
    animals = head.get("individuals", ["", *[""] * len(coords)])
    if not (len(coords) == len(head["bodyparts"]) <= len(animals)) or {*coords[index:]} != {"x", "y"}:
        raise UserError(f"{path}: its lines of bodyparts and coords do not fit; save the labels again in DeepLabCut")
    columns = list(zip(animals[index:], head["bodyparts"][index:], coords[index:], strict=False))
    if len(set(columns)) < len(columns) or not all(part for _, part, _ in columns):
        raise UserError(
            f"{path}: two columns are of one body part, or one of none; save the labels again in DeepLabCut"
        )
    return Table(path, index, columns, [(line, row) for line, row in rows[len(head) :] if any(row)])


def _number(cell: str, where: str) -> float | None:
    if not cell or cell.lower() == "nan":
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not abs(value) <= FAR:
        raise UserError(f"{where}: {shown(cell)} is no coordinate in pixels; correct it, or leave it empty")
    return value


def limbs(path: Path, parts: Sequence[str]) -> list[list[int]]:
    """Return the pairs of body parts, numbered from 1, that the skeleton of a project's config.yaml joins.

    Entries that join no two of the parts are left out, with a notice. Raises UserError if the file is damaged.
    """
    if not path.is_file():
        return []
    try:
        data: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())}); write it again") from error
    listed = data.get("skeleton") if isinstance(data, dict) else None
    pairs = listed if isinstance(listed, list) else [] if listed is None else [listed]
    joined = [pair for pair in pairs if isinstance(pair, list) and len(pair) == 2 and pair[0] != pair[1]]
    known = [pair for pair in joined if all(end in parts for end in pair)]
    if odd := [shown(pair) for pair in pairs if pair not in known]:
        text = f"{path}: {len(odd)} entries of skeleton join no two of the body parts, and are left out ({odd[0]})"
        warnings.warn(text, Notice, stacklevel=3)
    return [[parts.index(end) + 1 for end in pair] for pair in known]
