from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from densepred.dataset.supervisely import Supervisely
from densepred.errors import Notice, UserError
from tests.dataset.supervisely_tree import SIZE, bitmap, figure, pack, save, shape

CORNERS: list[list[float]] = [[10, 5], [29, 14]]


def semantic(root: Path, **more: Any) -> torch.Tensor:
    found = Supervisely(str(root), **more)[0].truth.semantic
    assert found is not None
    return found


def test_corners_of_a_box_are_pixels_that_belong_to_it(tmp_path: Path) -> None:
    save(tmp_path, "train", shape("cat", "rectangle", CORNERS))
    for inclusive, wanted in ((True, [9.5, 4.5, 29.5, 14.5]), (False, [9.5, 4.5, 28.5, 13.5])):
        boxes = Supervisely(str(tmp_path), inclusive=inclusive)[0].truth.boxes
        assert boxes is not None
        assert boxes.tolist() == [wanted]


def test_fractions_of_pixels_give_a_notice(tmp_path: Path) -> None:
    save(tmp_path, "train", shape("cat", "rectangle", [[10, 5.25], [29, 14]]))
    with pytest.warns(Notice, match=r"1 rectangle with fractions of pixels; type dataset\.inclusive=false if"):
        Supervisely(str(tmp_path))


def test_classes_and_colours_are_those_of_the_project_without_points(tmp_path: Path) -> None:
    save(tmp_path, "train", shape("cat", "rectangle", CORNERS), figure("spot", "point", points={}))
    with pytest.warns(Notice, match="1 figure of the type 'point' left out"):
        info = Supervisely(str(tmp_path)).info
    assert info.classes == ("background", "dog", "cat")
    assert info.palette == ((0, 0, 0), (255, 0, 0), (0, 255, 0))


def test_a_polygon_has_a_hole(tmp_path: Path) -> None:
    outer = [[9.5, 4.5], [29.5, 4.5], [29.5, 14.5], [9.5, 14.5]]
    inner = [[14.5, 7.5], [19.5, 7.5], [19.5, 11.5], [14.5, 11.5]]
    save(tmp_path, "train", shape("cat", "polygon", outer, inner))
    wanted = torch.zeros(SIZE, dtype=torch.bool)
    wanted[5:15, 10:30] = True
    wanted[8:12, 15:20] = False
    assert torch.equal(semantic(tmp_path) == 2, wanted)


@pytest.mark.parametrize("mode", ["RGBA", "L", "1"])
def test_a_bitmap_lies_at_its_origin(mode: str, tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random((6, 9)) < 0.5
    save(tmp_path, "train", bitmap("cat", mask, [35, 3], mode))
    wanted = torch.zeros(SIZE, dtype=torch.bool)
    wanted[3:9, 35:40] = torch.from_numpy(mask[:, :5])  # the rest lies off the image
    assert torch.equal(semantic(tmp_path) == 2, wanted)


def png(size: tuple[int, int]) -> str:
    out = io.BytesIO()
    Image.new("L", size).save(out, "PNG")
    return pack(out.getvalue())


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (figure("cat", "bitmap", bitmap={"data": png((41, 3)), "origin": [0, 0]}), "bitmap cannot be read .*41 x 3"),
        (figure("cat", "bitmap", bitmap={"data": "!", "origin": [0, 0]}), "its bitmap cannot be read"),
        (figure("cat", "bitmap", bitmap={"data": pack(b"no PNG"), "origin": [0, 0]}), "its bitmap cannot be read"),
        (figure("cat", "bitmap"), "its points is None"),
        (figure("cat", "polygon"), "its points are None; give exterior and interior"),
        (shape("cat", "rectangle", [[1, 2]]), "give two corners"),
        (shape("cat", "polygon", [[1], [2]]), "give x and y"),
        (figure("cat", "polygon", points={"exterior": CORNERS, "interior": 5}), "with an interior that is no list"),
        ({"geometryType": "polygon"}, "has no classTitle"),
        (shape("cow", "rectangle", CORNERS), "its label 'cow' is not among the classes"),
    ],
)
def test_a_damaged_figure_is_refused(found: dict[str, Any], said: str, tmp_path: Path) -> None:
    save(tmp_path, "train", found)
    with pytest.raises(UserError, match=rf"ann.*{said}"):
        Supervisely(str(tmp_path))


def test_a_missing_test_split_is_no_other_layout(tmp_path: Path) -> None:
    save(tmp_path, "train", shape("cat", "rectangle", CORNERS))
    with pytest.raises(UserError, match=r"test: is missing .*; check dataset.root, dataset.annotations and dataset.s"):
        Supervisely(str(tmp_path), "test")


def test_datasets_of_other_names_are_divided(tmp_path: Path) -> None:
    for name in "abcdef":
        save(tmp_path, name, shape("cat", "rectangle", CORNERS))
    parts = [Supervisely(str(tmp_path), split, {"train": 0.5, "valid": 0.5}) for split in ("train", "valid")]
    assert sorted(path.stem for part in parts for path in part.files()) == list("abcdef")
