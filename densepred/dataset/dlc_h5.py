"""DeepLabCut's labels as HDF5, without the pickles that such files can hold: pandas' fixed form, read by h5py.

h5py (BSD-3, https://github.com/h5py/h5py) reads the plain arrays of the file; the extra `deeplabcut` installs it.
Source of the form: https://github.com/pandas-dev/pandas/blob/main/pandas/io/pytables.py
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from densepred.errors import UserError, shown

INSTALL = "pip install 'densepred[deeplabcut]'"
CSV = "write the .csv beside it, as DeepLabCut does when labels are saved"
KEY, FRAME = "df_with_missing", b"frame"
"""Name that DeepLabCut gives to the table, and the mark of a table."""
MOST = 1 << 26
"""Cells of an array, which a small file may claim in any number."""


def rows(path: Path) -> list[list[str]]:
    """Return the cells of the table, as the .csv has them: a line per heading, then a line per frame.

    Raises UserError without h5py, for damaged files, and for tables with pickles or of another form.
    """
    if find_spec("h5py") is None:
        raise UserError(f"{path}: holds labels of DeepLabCut as HDF5, which h5py reads; type {INSTALL}, or {CSV}")
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as file:
            return _table(file, path)
    except UserError:
        raise
    except (OSError, KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: cannot be read as a table of pandas ({shown(str(error))}); {CSV}") from error


def _table(file: Any, path: Path) -> list[list[str]]:
    names = [KEY] if KEY in file else list(file)
    group = _hard(file, names[0], path) if len(names) == 1 else None
    if group is None or not hasattr(group, "keys") or _mark(group, "pandas_type") != FRAME:
        raise UserError(f"{path}: holds {shown(names)}, no single table of pandas; {CSV}")
    headings, columns = _index(group, "axis0", path)
    _, frames = _index(group, "axis1", path)
    values = np.full((len(frames), len(columns)), math.nan)
    places = {column: place for place, column in enumerate(columns)}
    for block in range(int(group.attrs["nblocks"])):
        _, items = _index(group, f"block{block}_items", path)
        values[:, [places[item] for item in items]] = _array(group, f"block{block}_values", path)
    blank = [""] * (len(frames[0]) - 1 if frames else 0)
    head = [[name, *blank, *(column[level] for column in columns)] for level, name in enumerate(headings)]
    cells = [["" if math.isnan(value) else repr(value) for value in row] for row in values.tolist()]
    return head + [[*frame, *row] for frame, row in zip(frames, cells, strict=True)]


def _index(group: Any, name: str, path: Path) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return the names of the levels of an index, and its entries, a tuple of one text per level."""
    if _mark(group, f"{name}_variety") != b"multi":
        return [""], [(_text(value),) for value in _array(group, name, path)]
    headings, columns = list[str](), list[list[str]]()
    for level in range(int(group.attrs[f"{name}_nlevels"])):
        known = [_text(value) for value in _array(group, f"{name}_level{level}", path)]
        numbers = _array(group, f"{name}_label{level}", path)  # -1 where there is none
        columns.append([known[number] if number >= 0 else "" for number in numbers.tolist()])
        headings.append(_text(_mark(group[f"{name}_level{level}"], "name")))
    return headings, list(zip(*columns, strict=True))


def _array(group: Any, name: str, path: Path) -> np.ndarray:
    """Return an array of numbers or texts that lies in the file itself."""
    data = _hard(group, name, path)
    if data.dtype.kind not in "iufS":
        raise UserError(f"{path}: {name} holds pickles, which can run programs and are not opened; {CSV}")
    if data.is_virtual or data.external or data.size > MOST:
        raise UserError(f"{path}: {name} lies in other files, or has more than {MOST} cells; {CSV}")
    return data[()]


def _hard(group: Any, name: str, path: Path) -> Any:
    """Return an entry, unless it is a link to another place or file."""
    if type(group.get(name, getlink=True)).__name__ != "HardLink":
        raise UserError(f"{path}: {name} is a link to another place, or missing; {CSV}")
    return group[name]


def _mark(entry: Any, name: str) -> bytes:
    value = entry.attrs.get(name, b"")
    return value.encode() if isinstance(value, str) else bytes(value) if isinstance(value, bytes) else b""


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
