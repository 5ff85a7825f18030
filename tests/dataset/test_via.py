from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from densepred.dataset.via import Via
from densepred.errors import Notice, UserError
from tests.dataset.via_tree import FORMS, REGIONS, SIZE, SQUARE, region, save

RECT = {"name": "rect", "x": 2, "y": 3, "width": 5, "height": 6}


@pytest.mark.parametrize("project", [False, True])
@pytest.mark.parametrize("numbered", [False, True])
def test_polygons_become_masks(tmp_path: Path, project: bool, numbered: bool) -> None:
    regions = [region(SQUARE, kind="cat")]
    save(tmp_path, "train", dict(enumerate(regions)) if numbered else regions, project)
    found = Via(str(tmp_path))
    wanted = torch.zeros(SIZE, dtype=torch.uint8)
    wanted[5:15, 10:30] = 1
    assert found.info.classes == ("background", "cat")
    assert found[0].truth.semantic is not None
    assert torch.equal(found[0].truth.semantic, wanted)


def test_rectangles_are_boxes_and_regions_without_attributes_one_class(tmp_path: Path) -> None:
    save(tmp_path, "train", [region(RECT)])
    found = Via(str(tmp_path))
    assert found.info.classes == ("background", "object")
    assert found[0].truth.boxes is not None
    assert found[0].truth.boxes.tolist() == [[1.5, 2.5, 6.5, 8.5]]


def test_an_ellipse_has_its_area_when_turned(tmp_path: Path) -> None:
    shape = {"name": "ellipse", "cx": 20, "cy": 10, "rx": 9, "ry": 4, "theta": math.pi / 2}
    save(tmp_path, "train", [region(shape)])
    truth = Via(str(tmp_path))[0].truth
    assert truth.areas is not None
    assert truth.boxes is not None
    assert truth.areas.item() == pytest.approx(math.pi * 36, rel=0.05)
    assert truth.boxes[0].tolist() == pytest.approx([15.5, 0.5, 23.5, 18.5], abs=1)


def test_the_attribute_of_the_class_is_chosen(tmp_path: Path) -> None:
    save(tmp_path, "train", [region(SQUARE, kind={"cat": True, "dog": False}, note="x"), region(RECT, kind="dog")])
    with pytest.raises(UserError, match=r"regions have \['kind', 'note'\]; type dataset.attribute=kind"):
        Via(str(tmp_path))
    assert Via(str(tmp_path), attribute="kind").info.classes == ("background", "cat", "dog")


def test_regions_without_area_are_counted(tmp_path: Path) -> None:
    save(tmp_path, "train", [region(SQUARE), region({"name": "point", "cx": 1, "cy": 1})])
    with pytest.warns(Notice, match="1 region of the shape point left out"):
        Via(str(tmp_path))


@pytest.mark.parametrize(
    ("regions", "said"),
    [
        ([region({"name": "star"})], "has the shape 'star'"),
        ([region({**SQUARE, "all_points_x": [1]})], "has 1 x and 4 y"),
        ([region({**RECT, "x": None})], "finite numbers"),
        ([region(SQUARE, kind="")], "its class is ''"),
        ([{}], "lack shape_attributes"),
        (3, "lack shape_attributes"),
    ],
)
def test_a_region_of_another_form_is_refused(tmp_path: Path, regions: Any, said: str) -> None:
    save(tmp_path, "train", regions)
    with pytest.raises(UserError, match=said):
        Via(str(tmp_path))


def test_a_shape_without_a_word_for_it_is_refused(tmp_path: Path) -> None:
    save(tmp_path, "train", [region({"name": ["rect"]}, kind="cat")])
    with pytest.raises(UserError, match=r"has the shape \['rect'\]"):
        Via(str(tmp_path))


def test_an_attribute_that_no_region_has_is_answered_with_the_others_or_null(tmp_path: Path) -> None:
    save(tmp_path, "train", [region(SQUARE)])
    with pytest.raises(UserError, match="no region has 'kind'; regions have none: set null"):
        Via(str(tmp_path), attribute="kind")
    save(tmp_path, "train", [region(SQUARE, kind="cat")])
    with pytest.raises(UserError, match=r"no region has 'sort'; choose one of kind$"):
        Via(str(tmp_path), attribute="sort")


def test_images_without_a_region_are_counted(tmp_path: Path) -> None:
    save(tmp_path, "train", [])
    with pytest.warns(Notice, match="1 image without a region, read as an image without objects"):
        Via(str(tmp_path), classes=["cat"])


@pytest.mark.parametrize("form", FORMS)
def test_the_other_forms_hold_what_version_2_holds_as_json(form: str, tmp_path: Path) -> None:
    save(tmp_path, "train", REGIONS)
    (tmp_path / "other").mkdir()
    FORMS[form](tmp_path / "other")
    wanted = Via(str(tmp_path))
    path = next(file for file in (tmp_path / "other").iterdir() if file.name in ("a.csv", "a.json"))
    with pytest.warns(Notice, match="1 image (without a region|that the file does not name)"):
        found = Via(str(tmp_path / "other"), annotations=path.name, splits={"train": 1.0})
    assert found.info.classes == wanted.info.classes == ("background", "cat", "dog")
    sample = next(found[i].truth for i in range(len(found)) if found[i].frame.id == "train")
    assert torch.equal(sample.need("boxes"), wanted[0].truth.need("boxes"))
    assert torch.equal(sample.need("semantic"), wanted[0].truth.need("semantic"))


def test_videos_and_damaged_tables_are_refused(tmp_path: Path) -> None:
    FORMS["project of version 3"](tmp_path)
    data = json.loads((tmp_path / "a.json").read_text())
    data["metadata"]["1_0"]["z"] = [1.5]
    (tmp_path / "a.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match=r"metadata '1_0': is a part of a video, from \[1.5\] s on; give a project"):
        Via(str(tmp_path), annotations="a.json", splits={"train": 1.0})
    (tmp_path / "a.csv").write_text("filename,region_shape_attributes\na.jpg,{\n")
    with pytest.raises(UserError, match="cannot be read as VIA's CSV"):
        Via(str(tmp_path), annotations="a.csv", splits={"train": 1.0})
