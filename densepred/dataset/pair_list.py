"""Pairs of image and mask files in a CSV file, with or without headings."""

from __future__ import annotations

import csv
import os
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from densepred.dataset import paths
from densepred.dataset.facts import counted
from densepred.dataset.file_names import normal
from densepred.dataset.pairs import Pair
from densepred.errors import Misfit, Notice, UserError, shown
from densepred.home import expand

COLUMNS: tuple[str, ...] = ("image", "mask", "split")
HEADINGS = {
    "image": ("image", "images", "image_path", "image_file", "img", "filename", "file_name", "file"),
    "mask": ("mask", "masks", "mask_path", "mask_file", "label", "labels", "segmentation", "annotation"),
    "split": ("split", "set", "subset"),
}
"""Words of headings, in small letters with underscores, that name a column."""

GLIMPSED = 20
"""Lines of a table that are looked at for files, to tell a list of pairs from other tables."""
DELIMITERS = ",;\t|"
Row = tuple[Pair, str | None]


def read_list(path: Path, root: Path, has_masks: bool, outside: bool = False) -> list[Row]:
    """Return the pairs and splits of a CSV file with the columns image, mask and perhaps split.

    Paths are relative to `root`, and lead out of it only with `outside`. The split is None if there is no such column.
    """
    needed = COLUMNS[: 1 + has_masks]
    rows = _cells(path, needed, root)
    if not rows:
        raise UserError(f"{path}: is empty; write a CSV file with {','.join(needed)}")
    typed = rows[0][1]
    columns = _columns(typed)
    if needed[0] not in columns and len(typed) >= len(needed) and _is_file(root, typed[0]):
        names: tuple[str, ...] = COLUMNS if has_masks else ("image", "split")
        columns = dict(zip(names, range(len(typed)), strict=False))
        _tell(path, {name: f"column {place + 1}" for name, place in columns.items()}, "has no headings")
    else:
        rows.pop(0)
        if missing := [name for name in needed if name not in columns]:
            raise UserError(
                f"{path}: its first line has {shown(','.join(typed))}, without {' and '.join(missing)}; "
                f"name the columns {','.join(needed)} there"
            )
        if any(typed[place] != name for name, place in columns.items()):
            _tell(path, {name: shown(typed[place]) for name, place in columns.items()}, "other headings")
    if not rows:
        raise UserError(f"{path}: has no rows below its first line; add one per image, with {','.join(needed)}")
    out = [_row(path, root, line, cells, columns, needed) for line, cells in rows]
    if not outside:
        _refuse_outside(path, root, [pair for pair, _ in out])
    _check_twice(path, [pair.id for pair, _ in out])
    return out


def splits_listed(path: Path, root: Path) -> set[str] | None:
    """Return the words in the column of splits of a list, none without one; None for a table that lists no pairs.

    Images and masks of at least one of the first lines must be there.
    """
    needed = COLUMNS[:2]
    try:
        rows = [cells for _, cells in _cells(path, needed, root)]
    except UserError:
        return None
    columns = _columns(rows[0]) if rows else {}
    if all(name in columns for name in needed):
        rows.pop(0)
    else:
        columns = dict(zip(COLUMNS, range(len(rows[0]) if rows else 0), strict=False))
    whole = [cells for cells in rows if len(cells) > max(columns.values(), default=0)]
    there = [all(_is_file(root, _plain(root, cells[columns[name]])) for name in needed) for cells in whole[:GLIMPSED]]
    if len(columns) < len(needed) or not any(there):
        return None
    return {cells[columns["split"]] for cells in whole} if "split" in columns else set()


def present(path: Path, rows: list[Row], unpaired: str) -> list[Row]:
    """Return the rows with all of their files; with `unpaired="refuse"` raise UserError for those that lack one."""
    lost = [next((file for file in (pair.image, pair.mask) if file and not file.is_file()), None) for pair, _ in rows]
    missing = [file for file in lost if file is not None]
    names = [str(file) for file in missing]
    kept = [row for row, file in zip(rows, lost, strict=True) if file is None]
    if not missing:
        return rows
    fact = f"{path}: files of {counted(len(missing), 'lines')} are missing, such as {shown(missing[0].name)}"
    if unpaired == "skip" and kept:
        text = f"{fact}; left out, so that {counted(len(kept), 'lines')} stay (dataset.unpaired=skip)"
        warnings.warn(text, Notice, stacklevel=2)
        return kept
    more = ", or type dataset.unpaired=skip to leave them out" if kept else ""
    remedy = f"correct the paths, which are relative to dataset.root{more}"
    raise Misfit(f"{fact}; {remedy}", "unpaired", names=names)


def of_split(path: Path, rows: list[Row], folder: str, split: str) -> list[Pair]:
    """Return the pairs with `folder` in the column `split`; if there are none, those of other words, with a notice.

    Raises UserError if there are none either.
    """
    words = paths.words_there({_word(column) for _, column in rows}, [folder], split)
    pairs = [pair for pair, column in rows if _word(column) in words]
    word = paths.split_word(split)
    if not pairs:
        there = sorted({str(column) for _, column in rows})
        raise UserError(
            f"{path}: no line has the split {folder!r}; it has {shown(', '.join(there))}: correct the column or type "
            f"dataset.splits.{word}=..."
        )
    if folder.casefold() not in words:
        text = (
            f"{path}: no line has the split {shown(folder)}, so {word} is read from {shown(', '.join(sorted(words)))}"
        )
        warnings.warn(f"{text}; dataset.splits.{word} chooses another", Notice, stacklevel=2)
    return pairs


def tell_unused(path: Path, rows: list[Row], splits: Mapping[str, str]) -> None:
    """Tell how many lines have none of the names of splits, the values of `splits`, in their column."""
    there = {_word(column) for _, column in rows}
    known = {word for split, name in splits.items() for word in paths.words_there(there, [name], split)}
    unknown = [column for _, column in rows if _word(column) not in known]
    if unknown:
        text = f"{path}: {counted(len(unknown), 'lines')} unused, because in no split (such as {shown(unknown[0])})"
        warnings.warn(text, Notice, stacklevel=2)


def tell_column(path: Path, rows: list[Row]) -> None:
    """Tell that a column of splits is not read, because fractions divide all lines."""
    found = Counter(column for _, column in rows if column is not None)
    if found:
        words = ", ".join(f"{shown(column)} {count}" for column, count in sorted(found.items()))
        text = f"{path}: fractions in dataset.splits divide all lines, and the column split ({words}) is not read"
        warnings.warn(f"{text}; name its words in dataset.splits to use it", Notice, stacklevel=2)


def _cells(path: Path, needed: tuple[str, ...], root: Path) -> list[tuple[int, list[str]]]:
    """Return the number and the cells of each line that is not blank, with the delimiter that fits the first."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = file.read()
        first = next((line for line in lines.splitlines() if line.strip()), "")
        fits = [mark for mark in DELIMITERS if _fits(next(csv.reader([first], delimiter=mark), []), needed, root)]
        mark = fits[0] if fits else max(DELIMITERS, key=first.count)
        reader = csv.reader(lines.splitlines(keepends=True), delimiter=mark)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as a list ({error}); write a CSV file with image,mask") from error
    return [(line, row) for line, row in rows if any(row)]


def _fits(cells: list[str], needed: tuple[str, ...], root: Path) -> bool:
    """Look for every needed column in a first line, or for a path to a file in place of headings."""
    columns = _columns([cell.strip() for cell in cells])
    return all(name in columns for name in needed) or (
        len(cells) >= len(needed) and _is_file(root, _plain(root, cells[0].strip()))
    )


def _columns(cells: list[str]) -> dict[str, int]:
    """Return the place of each known column: its own name first, then other words for it."""
    words = [cell.casefold().replace(" ", "_") for cell in cells]
    found = {name: [words.index(word) for word in HEADINGS[name] if word in words] for name in COLUMNS}
    return {name: places[0] for name, places in found.items() if places}


def _row(path: Path, root: Path, line: int, cells: list[str], columns: dict[str, int], needed: tuple[str, ...]) -> Row:
    values = {name: cells[place] if place < len(cells) else "" for name, place in columns.items()}
    if not all(values[name] for name in needed):
        raise UserError(f"{path}: line {line} names no {' or '.join(needed)}; complete or remove it")
    if any("\0" in values[name] or not Path(values[name]).name for name in needed):
        raise UserError(f"{path}: line {line} holds {shown(','.join(cells))}, no path to a file; correct it")
    values = {name: _plain(root, value) if name in needed else value for name, value in values.items()}
    mask = root / expand(values["mask"]) if "mask" in needed else None
    image = root / expand(values["image"])
    return Pair(str(Path(values["image"]).with_suffix("")), image, mask), values.get("split")


def _plain(root: Path, name: str) -> str:
    """Return a path with slashes in place of the backslashes of Windows, unless a file has this very name."""
    return name if "\\" not in name or _is_file(root, name) else normal(name)


def _refuse_outside(path: Path, root: Path, pairs: list[Pair]) -> None:
    """Raise UserError for the first file outside `root`; links are not followed: they are the user's."""
    folder = os.path.abspath(root)
    files = [file for pair in pairs for file in (pair.image, pair.mask) if file is not None]
    found = [file for file in files if not Path(os.path.abspath(file)).is_relative_to(folder)]
    if found:
        raise UserError(
            f"{path}: {shown(str(found[0]))} and {len(found) - 1} more lie outside {root}; add dataset.outside=true if "
            "you trust the list, or correct its paths"
        )


def _is_file(root: Path, cell: str) -> bool:
    try:
        return bool(cell) and (root / expand(cell)).is_file()
    except (OSError, ValueError):
        return False


def _word(column: str | None) -> str:
    return (column or "").casefold()


def _tell(path: Path, columns: dict[str, str], fact: str) -> None:
    read = ", ".join(f"{name} = {cell}" for name, cell in columns.items())
    warnings.warn(f"{path}: {fact}; read as {read}", Notice, stacklevel=3)


def _check_twice(path: Path, names: list[str]) -> None:
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise UserError(f"{path}: lists {min(twice)!r} twice; remove one of the lines")
