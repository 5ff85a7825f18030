from __future__ import annotations

import csv
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from densepred.dataset import dlc_h5
from densepred.dataset.deeplabcut import DeepLabCut
from densepred.errors import UserError
from tests.dataset.deeplabcut_tree import SIZE, table
from tests.dataset.files import picture, write

h5py = pytest.importorskip("h5py")
WHOLE = {"train": 1.0}


def mark(entry: Any, **values: str) -> None:
    for name, value in values.items():
        entry.attrs[name] = np.bytes_(value)


def index(group: Any, name: str, entries: Sequence[tuple[str, ...]], names: Sequence[str]) -> None:
    """Write an index of several levels as pandas does: the texts of each level, and the numbers of the entries."""
    group.attrs[f"{name}_variety"], group.attrs[f"{name}_nlevels"] = np.bytes_("multi"), np.int64(len(names))
    for level, heading in enumerate(names):
        column = [entry[level] for entry in entries]
        texts = sorted(set(column))
        mark(group.create_dataset(f"{name}_level{level}", data=np.array(texts, "S")), kind="string", name=heading)
        group.create_dataset(f"{name}_label{level}", data=np.array([texts.index(one) for one in column], np.int8))


def save(source: Path) -> Path:
    """Write the labels of a .csv as DeepLabCut's .h5, and remove the .csv."""
    rows = list(csv.reader(source.open()))
    first = next(place for place, cell in enumerate(rows[2]) if cell in ("x", "ada", "snout"))
    count = next(number for number, row in enumerate(rows) if row[0] == "coords") + 1
    columns = list(zip(*(row[first:] for row in rows[:count]), strict=True))
    values = [[float(cell) if cell else np.nan for cell in row[first:]] for row in rows[count:]]
    path = source.with_suffix(".h5")
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        mark(group, pandas_type="frame")
        group.attrs["nblocks"] = np.int64(1)
        index(group, "axis0", columns, [row[0] for row in rows[:count]])
        index(group, "block0_items", columns, [row[0] for row in rows[:count]])
        index(group, "axis1", [tuple(row[:first]) for row in rows[count:]], ["N."] * first)
        group.create_dataset("block0_values", data=np.array(values, np.float64))
    source.unlink()
    return path


def project(root: Path, animals: Sequence[str] = ()) -> Path:
    rows = {"a.png": [30.5, 25, 50, 35] * max(1, len(animals)), "b.png": [5, 6, "", ""] * max(1, len(animals))}
    path = root / "labeled-data/day1/CollectedData_ada.csv"
    table(path, rows, animals)
    return path


@pytest.mark.parametrize("animals", [(), ("rat1", "rat2")], ids=["one animal", "two"])
def test_labels_of_h5_alone_equal_those_of_the_table(animals: Sequence[str], tmp_path: Path) -> None:
    path = project(tmp_path, animals)
    before = DeepLabCut(str(tmp_path), splits=WHOLE)
    wanted = [before[i].truth.need("keypoints").tolist() for i in range(2)]
    save(path)
    found = DeepLabCut(str(tmp_path), splits=WHOLE)
    assert found.info.keypoints == ("snout", "tail")
    assert [found[i].truth.need("keypoints").tolist() for i in range(2)] == wanted


@pytest.mark.skipif(find_spec("tables") is None, reason="pandas writes HDF5 with PyTables")
@pytest.mark.parametrize("levels", [1, 3])
def test_files_of_pandas_are_read_as_pandas_reads_them(levels: int, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    names = ["scorer", "individuals", "bodyparts", "coords"]
    columns = [("ada", animal, part, axis) for animal in ("2", "1") for part in ("tail", "snout") for axis in "xy"]
    frames = [("labeled-data", "day1", f"{name}.png") for name in "ba"]
    rows = pandas.MultiIndex.from_tuples(frames) if levels == 3 else ["/".join(frame) for frame in frames]
    values = [[0.1, np.nan, 1 / 3, 4, 5, 6, 7, 8], [np.nan] * 8]
    data = pandas.DataFrame(values, index=rows, columns=pandas.MultiIndex.from_tuples(columns, names=names))
    data.to_hdf(tmp_path / "a.h5", key="df_with_missing", mode="w")
    pandas.read_hdf(tmp_path / "a.h5").to_csv(tmp_path / "a.csv")
    assert dlc_h5.rows(tmp_path / "a.h5") == list(csv.reader((tmp_path / "a.csv").open()))


def test_pickles_links_and_other_files_are_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside.bin"
    outside.write_bytes(bytes(64))

    def objects(group: Any) -> None:
        kind = h5py.vlen_dtype(np.uint8)
        group.create_dataset("block0_values", (1,), kind)[0] = np.frombuffer(b"cos\nsystem\n", np.uint8)

    def link(group: Any) -> None:
        group["block0_values"] = h5py.ExternalLink("other.h5", "/values")

    def external(group: Any) -> None:
        group.create_dataset("block0_values", (2, 4), np.float64, external=[(str(outside), 0, 64)])

    def vast(group: Any) -> None:
        group.create_dataset("block0_values", (1 << 30, 4), np.float64, chunks=(1024, 4))

    def narrow(group: Any) -> None:
        group.create_dataset("block0_values", data=np.zeros((2, 3)))

    for change, said in (
        (objects, "block0_values holds pickles, which can run programs and are not opened; write the .csv"),
        (link, "block0_values is a link to another place"),
        (external, "block0_values lies in other files"),
        (vast, "has more than 67108864 cells"),
        (narrow, "cannot be read as a table of pandas"),
    ):
        path = save(project(tmp_path))
        with h5py.File(path, "r+") as file:
            del file["df_with_missing/block0_values"]
            change(file["df_with_missing"])
        with pytest.raises(UserError, match=said):
            DeepLabCut(str(tmp_path), splits=WHOLE)
        path.unlink()


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = save(project(tmp_path))
    whole = path.read_bytes()
    for data in (b"", b"no HDF5", whole[: len(whole) // 2]):
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"CollectedData_ada\.h5: cannot be read as a table"):
            DeepLabCut(str(tmp_path), splits=WHOLE)
    with h5py.File(path, "w") as file:
        file["keypoints"] = np.zeros(3)
    with pytest.raises(UserError, match=r"holds .*keypoints.*, no single table of pandas; write the \.csv"):
        DeepLabCut(str(tmp_path), splits=WHOLE)


def test_without_h5py_the_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "labeled-data/day1/a.png", picture(SIZE))
    (tmp_path / "labeled-data/day1/CollectedData_ada.h5").write_bytes(b"")
    monkeypatch.setattr(dlc_h5, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"type pip install 'densepred\[deeplabcut\]', or write the \.csv beside it"):
        DeepLabCut(str(tmp_path), splits=WHOLE)
