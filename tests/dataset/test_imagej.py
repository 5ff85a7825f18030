from __future__ import annotations

import math
import zipfile
from pathlib import Path

import pytest
import torch

from densepred.dataset.imagej import ImageJ
from densepred.errors import Notice, UserError
from tests.dataset.files import picture, write
from tests.dataset.imagej_tree import OVAL, POINT, POLYGON, RECT, SIZE, SQUARE, composite, region, save

pytest.importorskip("roifile")


def test_polygons_rectangles_and_ovals(tmp_path: Path) -> None:
    save(tmp_path, "train", region(POLYGON, SQUARE), region(RECT, [(0, 0), (4, 3)]), region(OVAL, [(30, 0), (40, 16)]))
    with pytest.warns(Notice, match="1 rectangle, read as a mask that it fills"):
        truth = ImageJ(str(tmp_path))[0].truth
    assert truth.boxes is not None
    assert truth.boxes[:2].tolist() == [[9.5, 4.5, 29.5, 14.5], [-0.5, -0.5, 3.5, 2.5]]
    assert truth.areas is not None
    assert truth.areas.tolist() == [200, 12, pytest.approx(math.pi * 40, rel=0.03)]


def test_a_composite_region_has_a_hole(tmp_path: Path) -> None:
    save(tmp_path, "train", composite(SQUARE, [(15, 8), (20, 8), (20, 12), (15, 12)]))
    wanted = torch.zeros(SIZE, dtype=torch.bool)
    wanted[5:15, 10:30] = True
    wanted[8:12, 15:20] = False
    semantic = ImageJ(str(tmp_path))[0].truth.semantic
    assert semantic is not None
    assert torch.equal(semantic > 0, wanted)


def test_names_or_groups_are_classes(tmp_path: Path) -> None:
    save(tmp_path, "train", region(POLYGON, SQUARE, "cat", 3), region(RECT, [(0, 0), (4, 3)], "dög"))
    found = {kind: ImageJ(str(tmp_path), label_by=kind).info.classes[1:] for kind in ("none", "name", "group")}
    assert found == {"none": ("object",), "name": ("cat", "dög"), "group": ("group 0", "group 3")}


def test_points_and_later_planes_are_counted(tmp_path: Path) -> None:
    save(tmp_path, "train", region(POLYGON, SQUARE, z=2), region(POINT, [(1, 1)]))
    with pytest.warns(Notice) as told:
        assert len(ImageJ(str(tmp_path))) == 1
    said = " ".join(str(one.message) for one in told)
    assert "1 region of the type point left out" in said
    assert "1 region of later planes of a stack, read as a region of the image" in said


@pytest.mark.parametrize(
    "zipped", ["a.zip", "RoiSet.zip", "RoiSet_a.zip", "a_rois.zip", "a/RoiSet.zip", "0012-0034.zip"]
)
def test_a_file_is_of_the_image_that_its_name_or_folder_tells(zipped: str, tmp_path: Path) -> None:
    save(tmp_path, "train", region(POLYGON, SQUARE), zipped=zipped)
    if "a" in zipped.partition(".")[0]:
        write(tmp_path / "train/b.png", picture(SIZE))
    assert [path.name for path in ImageJ(str(tmp_path)).files()] == ["a.png"]


def test_single_regions_in_a_folder_are_of_one_image(tmp_path: Path) -> None:
    write(tmp_path / "images/train/a.png", picture(SIZE))
    for name in ("0001-0002", "0003-0004"):
        path = tmp_path / f"rois/train/a/{name}.roi"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(region(POLYGON, SQUARE))
    boxes = ImageJ(str(tmp_path))[0].truth.boxes
    assert boxes is not None
    assert len(boxes) == 2


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    save(tmp_path, "train", region(POLYGON, SQUARE)[:70])
    with pytest.raises(UserError, match=r"a\.zip: cannot be read as regions of ImageJ"):
        ImageJ(str(tmp_path))
    with zipfile.ZipFile(tmp_path / "train/a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb.roi", bytes(1 << 27))
    with pytest.raises(UserError, match=r"a\.zip: has more than 64 MB of regions"):
        ImageJ(str(tmp_path))
    (tmp_path / "train/a.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"a\.zip: cannot be read"):
        ImageJ(str(tmp_path))


def test_a_file_without_an_image_is_refused(tmp_path: Path) -> None:
    save(tmp_path, "train", region(POLYGON, SQUARE), zipped="gone.zip")
    write(tmp_path / "train/b.png", picture(SIZE))
    with pytest.raises(UserError, match=r"gone\.zip: its image 'gone' is missing"):
        ImageJ(str(tmp_path))
