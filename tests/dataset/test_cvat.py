from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from densepred.conversion.coco_form import CocoForm
from densepred.dataset.cvat import Cvat
from densepred.errors import Notice, UserError
from tests.dataset.cvat_tree import LABELS, SIZE, SQUARE, save, shape, tree
from tests.dataset.files import picture, write

DIVIDED = {"train": 0.5, "valid": 0.5}


def semantic(root: Path) -> torch.Tensor:
    found = Cvat(str(root))[0].truth.semantic
    assert found is not None
    return found


def drawn(*rectangles: tuple[int, int, int, int, int]) -> torch.Tensor:
    """Return a class map of rectangles: class, x0, y0, x1, y1."""
    out = torch.zeros(SIZE, dtype=torch.uint8)
    for kind, x0, y0, x1, y1 in rectangles:
        out[y0:y1, x0:x1] = kind
    return out


def test_labels_and_colours_are_those_of_the_file(tmp_path: Path) -> None:
    save(tmp_path, "a", shape("polygon", points=SQUARE), shape("box", "dog", xtl=2, ytl=2, xbr=8, ybr=9))
    found = Cvat(str(tmp_path))
    assert found.info.classes == ("background", *LABELS)
    assert found.info.palette == ((0, 0, 0), (255, 0, 0), (0, 255, 0))
    truth = found[0].truth
    assert truth.boxes is not None
    assert truth.boxes.tolist() == [[9.5, 4.5, 29.5, 14.5], [1.5, 1.5, 7.5, 8.5]]
    assert truth.semantic is not None
    assert torch.equal(truth.semantic % 255, drawn((2, 10, 5, 30, 15)))


def test_a_mask_is_read_by_rows_of_its_box(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random((5, 7)) < 0.5
    flat = [False, *mask.ravel().tolist()]
    edges = [0, *(i for i in range(len(flat) - 1) if flat[i] != flat[i + 1]), mask.size]
    rle = ", ".join(map(str, np.diff(edges)))
    save(tmp_path, "a", shape("mask", rle=rle, left=30, top=10, width=7, height=5))
    wanted = torch.zeros(SIZE, dtype=torch.bool)
    wanted[10:15, 30:37] = torch.from_numpy(mask)
    assert torch.equal(semantic(tmp_path) == 2, wanted)


def test_a_mask_ends_at_the_edge_of_the_image(tmp_path: Path) -> None:
    save(tmp_path, "a", shape("mask", rle="0, 40", left=36, top=-2, width=8, height=5))
    assert torch.equal(semantic(tmp_path), drawn((2, 36, 0, 40, 3)))


def test_shapes_are_turned_about_their_center(tmp_path: Path) -> None:
    """A quarter turn of 12 x 4 pixels about (20, 10)."""
    save(tmp_path, "a", shape("box", xtl=14, ytl=8, xbr=26, ybr=12, rotation="90.0"))
    assert torch.equal(semantic(tmp_path), drawn((2, 18, 4, 22, 16)))
    save(tmp_path / "b", "a", shape("ellipse", cx=20, cy=10, rx=8, ry=4, rotation="90.0"))
    ellipse = semantic(tmp_path / "b") > 0
    assert int(ellipse.sum()) == pytest.approx(math.pi * 32, rel=0.05)
    assert (int(ellipse.any(0).sum()), int(ellipse.any(1).sum())) == (8, 16)


def test_the_box_turns_clockwise(tmp_path: Path) -> None:
    """By 45 degrees the long axis of a box falls from the upper left to the lower right."""
    save(tmp_path, "a", shape("box", xtl=10, ytl=9, xbr=30, ybr=11, rotation=45))
    ys, xs = np.nonzero(semantic(tmp_path).numpy())
    assert np.corrcoef(xs, ys)[0, 1] > 0.9


def test_a_higher_layer_lies_on_top_of_a_smaller_shape(tmp_path: Path) -> None:
    small = shape("polygon", "dog", points="12,6;16,6;16,10;12,10")
    save(tmp_path, "a", shape("polygon", points=SQUARE), small)
    assert torch.equal(semantic(tmp_path), drawn((2, 10, 5, 30, 15), (1, 12, 6, 16, 10)))
    save(tmp_path / "b", "a", shape("polygon", points=SQUARE, z_order=1), small)
    assert torch.equal(semantic(tmp_path / "b"), drawn((2, 10, 5, 30, 15)))


def test_layers_that_coco_cannot_hold_are_counted(tmp_path: Path) -> None:
    small = shape("polygon", "dog", points="12,6;16,6;16,10;12,10")
    save(tmp_path, "a", shape("polygon", points=SQUARE, z_order=1), small)
    data = Cvat(str(tmp_path))
    form = CocoForm(tmp_path, data.info)
    form.add(data[0], "train", "a", tmp_path / "images/train/a.png")
    (said,) = [text for text, times in form.left.items() if times]
    assert said.startswith("images with objects on top of smaller ones")


def test_polygons_of_a_group_are_one_object(tmp_path: Path) -> None:
    apart = shape("polygon", points="2,2;6,2;6,6;2,6", group_id=3)
    box = shape("box", xtl=32, ytl=2, xbr=36, ybr=6, group_id=3)
    save(tmp_path, "a", shape("polygon", points=SQUARE, group_id=3), apart, box)
    with pytest.warns(Notice, match="1 shapes of the type box in groups, each read as an object"):
        areas = Cvat(str(tmp_path))[0].truth.areas
    assert areas is not None
    assert areas.tolist() == [216, 16]


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    off = shape("polygon", points="50,30;60,30;60,40")
    save(tmp_path, "a", shape("polygon", points=SQUARE), shape("points", points="1,1"), off, "<tag label='cat'></tag>")
    save(tmp_path, "b")
    with pytest.warns(Notice) as told:
        assert len(Cvat(str(tmp_path))) == 2
    said = " ".join(str(one.message) for one in told)
    assert "1 shapes of the type points left out" in said
    assert "1 shapes of the type tag left out" in said
    assert "1 images without a shape, read as images without objects" in said
    assert "1 of 2 annotations left out (1 outlines that cover no pixel of the image)" in said


def test_subsets_fractions_and_files_are_splits(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        tree(tmp_path, split)
    assert [path.stem for path in Cvat(str(tmp_path), "valid").files()] == ["val"]
    parts = [Cvat(str(tmp_path), split, DIVIDED) for split in ("train", "valid")]
    assert sorted(path.stem for part in parts for path in part.files()) == ["test", "train", "val"]
    save(tmp_path / "whole", "a", shape("polygon", points=SQUARE), subset=None)
    with pytest.raises(UserError, match=r"no image is of the subset train or .*; .*type dataset=cvat dataset\.ann"):
        Cvat(str(tmp_path / "whole"))
    (tmp_path / "train").mkdir()
    (tmp_path / "whole/annotations.xml").rename(tmp_path / "train/annotations.xml")
    (tmp_path / "annotations.xml").unlink()
    write(tmp_path / "images/a.png", picture(SIZE))
    assert [path.stem for path in Cvat(str(tmp_path)).files()] == ["a"]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (shape("mask", rle="0, 4", left=0, top=0, width=3, height=2), r"its rle does not fill 3 x 2 pixels"),
        (shape("mask", rle="9999999999", left=0, top=0, width=3, height=2), r"its rle does not fill"),
        (shape("mask", rle="0, 4", left=0, top=0, width="x", height=2), "its width is 'x'; give a whole number"),
        (shape("box", xtl=0, ytl="nan", xbr=1, ybr=1), "finite numbers"),
        (shape("box", xtl=0, ytl=0, xbr=1), "its xtl, ytl, xbr, ybr are"),
        (shape("polygon", points="1;2"), r"give x,y;x,y"),
        (shape("polygon", "", points=SQUARE), "polygon 1: has no label"),
        (shape("polygon", "cow", points=SQUARE), "its label 'cow' is not among the classes"),
    ],
)
def test_a_damaged_shape_is_refused(tmp_path: Path, found: str, said: str) -> None:
    save(tmp_path, "a", found)
    with pytest.raises(UserError, match=said):
        Cvat(str(tmp_path))


def test_tracks_of_videos_are_refused(tmp_path: Path) -> None:
    save(tmp_path, "a", shape("polygon", points=SQUARE))
    path = tmp_path / "annotations.xml"
    path.write_text(path.read_text().replace("</annotations>", "<track></track></annotations>"))
    with pytest.raises(UserError, match=r"export from CVAT as CVAT for images 1\.1"):
        Cvat(str(tmp_path))
