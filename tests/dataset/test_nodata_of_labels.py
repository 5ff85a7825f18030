"""Label rasters that name a value as no data: void, and told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from densepred.dataset.folder import Folder
from densepred.dataset.instance_folder import InstanceFolder
from densepred.dataset.nodata import TAG
from densepred.errors import Notice, UserError
from densepred.types import VOID
from tests.dataset.files import write

IDS = np.arange(48).reshape(6, 8) % 3
HOLE = np.zeros((6, 8), bool)
HOLE[1:3, 2:5] = True


def tree(root: Path, empty: float, kind: type, ids: np.ndarray = IDS) -> Path:
    values = np.where(HOLE, empty, ids).astype(kind)
    write(root / "images/train/a.png", (IDS * 50).astype(np.uint8))
    write(root / "masks/train/a.tif", values, tiffinfo={TAG: f"{empty:g}"})
    return root


@pytest.mark.parametrize(
    ("empty", "kind"), [(9, np.uint8), (255, np.uint8), (65535, np.uint16), (-9999, np.float32), (np.nan, np.float32)]
)
@pytest.mark.parametrize("named", [False, True])
def test_pixels_without_data_are_void(tmp_path: Path, empty: float, kind: type, named: bool) -> None:
    root = tree(tmp_path, empty, kind)
    if named:
        (root / "classes.json").write_text(json.dumps(["a", "b", "c"]))
    with pytest.warns(Notice, match=rf"a\.tif: its tag GDAL_NODATA is {empty:g}, as in 1 of 1 masks .* are void"):
        data = Folder(str(root))
    assert len(data.info.classes) == 3
    assert torch.equal(data[0].truth.need("semantic"), torch.from_numpy(np.where(HOLE, VOID, IDS).astype(np.uint8)))


def test_classes_that_begin_above_0_are_numbered_from_there(tmp_path: Path) -> None:
    data = Folder(str(tree(tmp_path, 0, np.uint8, IDS + 1)))
    assert data.info.classes == ("class_1", "class_2", "class_3")
    assert torch.equal(data[0].truth.need("semantic"), torch.from_numpy(np.where(HOLE, VOID, IDS).astype(np.uint8)))


def test_with_a_label_map_the_value_is_a_class(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    data = Folder(str(tree(tmp_path, 0, np.uint8)), label_map={0: 0}, classes=3)
    assert torch.equal(data[0].truth.need("semantic"), torch.from_numpy(np.where(HOLE, 0, IDS).astype(np.uint8)))
    assert not [one for one in recwarn if "GDAL_NODATA" in str(one.message)]


def test_unknown_ids_beside_holes_are_refused_and_whole_holes_are_void(tmp_path: Path) -> None:
    root = tree(tmp_path, 9, np.uint8)
    with pytest.raises(UserError, match="holds the id 2, but there are 2 classes"):
        Folder(str(root), classes=2)[0]
    write(root / "masks/train/a.tif", np.full((6, 8), 9, np.uint8), tiffinfo={TAG: "9"})
    assert (Folder(str(root), classes=2)[0].truth.need("semantic") == VOID).all()


def test_no_instance_is_where_there_is_no_data(tmp_path: Path) -> None:
    root = tree(tmp_path, 65535, np.uint16)
    with pytest.warns(Notice, match="GDAL_NODATA is 65535"):
        truth = InstanceFolder(str(root), masks="masks/{split}")[0].truth
    assert truth.count == 2
    assert torch.equal(truth.need("ignore"), torch.from_numpy(HOLE))
    assert torch.equal(truth.need("semantic") == VOID, torch.from_numpy(HOLE))
