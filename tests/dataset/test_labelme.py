from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from densepred.dataset.labelme import Labelme
from densepred.errors import Notice, UserError
from tests.dataset.files import picture, write
from tests.dataset.labelme_tree import SIZE, SQUARE, masked, save, shape, tree


def test_shapes_become_masks(tmp_path: Path) -> None:
    tree(tmp_path, "train")
    found = Labelme(str(tmp_path))
    truth = found[0].truth
    assert found.info.classes == ("background", "cat", "dog")
    wanted = torch.zeros(SIZE, dtype=torch.uint8)
    wanted[5:15, 10:30] = 1
    wanted[2:9, 2:8] = 2
    assert truth.semantic is not None
    assert torch.equal(truth.semantic, wanted)
    assert truth.boxes is not None
    assert truth.boxes.tolist() == [[9.5, 4.5, 29.5, 14.5], [1.5, 1.5, 7.5, 8.5]]


@pytest.mark.parametrize(
    ("given", "name", "told"),
    [
        ("IMG_1.jpg", "a", "1 image found by the name of the annotation file"),
        ("a.png", "a", "1 image found by the name of the annotation file"),
        ("b.jpg", "b", "1 image found by imagePath, though one has the name of the JSON file"),
    ],
)
def test_images_that_were_renamed_are_found_and_counted(tmp_path: Path, given: str, name: str, told: str) -> None:
    save(tmp_path, "train/a", [shape("cat", SQUARE)], imagePath=given)
    write(tmp_path / "train/b.jpg", picture(SIZE))
    with pytest.warns(Notice, match=told):
        (file,) = Labelme(str(tmp_path)).files()
    assert file.stem == name


def test_a_circle_has_its_area(tmp_path: Path) -> None:
    save(tmp_path, "train/a", [shape("ball", [[20, 10], [26, 10]], "circle")])
    areas = Labelme(str(tmp_path))[0].truth.areas
    assert areas is not None
    assert areas.item() == pytest.approx(math.pi * 36, rel=0.03)


def test_shapes_of_a_group_are_one_object(tmp_path: Path) -> None:
    apart = [[2, 2], [6, 2], [6, 6], [2, 6]]
    save(tmp_path, "train/a", [shape("cat", SQUARE, group=3), shape("cat", apart, group=3), shape("cat", apart)])
    truth = Labelme(str(tmp_path))[0].truth
    assert truth.areas is not None
    assert truth.areas.tolist() == [216, 16]


def test_a_mask_lies_at_its_place_and_joins_its_group(tmp_path: Path) -> None:
    """Masks of labelme's AI tools: a PNG of 0 and 1 from the first corner on."""
    piece = np.array([[1, 1, 0], [0, 1, 1]], np.uint8)
    alone = masked("cat", piece, (30, 4))
    save(tmp_path, "train/a", [alone, masked("dog", piece, (3, 2), group=1), shape("dog", SQUARE, group=1)])
    truth = Labelme(str(tmp_path))[0].truth
    wanted = torch.zeros(SIZE, dtype=torch.uint8)
    wanted[5:15, 10:30] = 2
    wanted[2:4, 3:6] = torch.from_numpy(piece * 2)
    wanted[4:6, 30:33] = torch.from_numpy(piece)
    assert truth.semantic is not None
    assert torch.equal(truth.semantic, wanted)
    assert truth.areas is not None
    assert sorted(truth.areas.tolist()) == [4, 204]


def test_a_turned_rectangle_is_its_four_corners(tmp_path: Path) -> None:
    save(tmp_path, "train/a", [shape("cat", [[20, 2], [28, 10], [20, 18], [12, 10]], "oriented_rectangle")])
    areas = Labelme(str(tmp_path))[0].truth.areas
    assert areas is not None
    assert areas.item() == pytest.approx(128, rel=0.07)


def test_rectangles_that_become_masks_are_counted(tmp_path: Path) -> None:
    corners = [SQUARE[0], SQUARE[2]]
    turned = [[20, 2], [28, 10], [20, 18], [12, 10]]
    save(tmp_path, "train/a", [shape("cat", corners, "rectangle"), shape("cat", turned, "oriented_rectangle")])
    save(tmp_path, "train/b", [shape("cat", SQUARE), shape("cat", corners, "rectangle")])
    with pytest.warns(Notice, match="3 rectangles, read as masks that they fill, as labelme's own converters have it"):
        found = Labelme(str(tmp_path))
    truth = found[1].truth
    assert truth.masks is not None
    assert truth.masks[0] == truth.masks[1], "as the polygon of its corners"


def test_shapes_without_area_are_counted(tmp_path: Path) -> None:
    save(tmp_path, "train/a", [shape("cat", SQUARE), shape("cat", [[1, 1]], "point"), shape("cat", SQUARE, "line")])
    with pytest.warns(Notice, match="1 shape of the type point left out.*1 shape of the type line left out"):
        found = Labelme(str(tmp_path))
    assert found[0].truth.categories is not None
    assert len(found[0].truth.categories) == 1


def test_classes_are_those_of_training_in_every_split(tmp_path: Path) -> None:
    tree(tmp_path, "train")
    save(tmp_path, "val/b", [shape("dog", SQUARE)])
    found = Labelme(str(tmp_path), "valid")
    assert found.info.classes == ("background", "cat", "dog")
    assert found[0].truth.categories is not None
    assert found[0].truth.categories.tolist() == [2]
    save(tmp_path, "val/b", [shape("cow", SQUARE)])
    with pytest.raises(UserError, match=r"val/b.json.*its label 'cow' is not among the classes"):
        Labelme(str(tmp_path), "valid")


def test_files_of_one_folder_are_divided(tmp_path: Path) -> None:
    for name in "abcdef":
        save(tmp_path, name, [shape("cat", SQUARE)])
    parts = [Labelme(str(tmp_path), split, {"train": 0.5, "valid": 0.5}) for split in ("train", "valid")]
    assert sorted(path.stem for part in parts for path in part.files()) == list("abcdef")


@pytest.mark.parametrize(
    ("kind", "points", "said"),
    [
        ("cube", SQUARE, "shape of the type 'cube'; polygons, rectangles, circles and masks can be read"),
        ("mask", SQUARE, "give two corners"),
        ("mask", SQUARE[:2], "its mask cannot be read"),
        ("rectangle", SQUARE, "give two corners"),
        ("polygon", [[1, 2, 3]], "give x and y of each corner"),
        ("polygon", [[1, "a"]], "finite numbers"),
    ],
)
def test_another_shape_is_refused(tmp_path: Path, kind: str, points: list[list[float]], said: str) -> None:
    save(tmp_path, "train/a", [shape("cat", points, kind)])
    with pytest.raises(UserError, match=said):
        Labelme(str(tmp_path))


@pytest.mark.parametrize("name", ["gone.jpg", "../../../etc/passwd", None, "a\0"])
def test_an_image_that_is_not_there_is_refused(tmp_path: Path, name: str | None) -> None:
    save(tmp_path, "train/a", [shape("cat", SQUARE)], imagePath=name)
    (tmp_path / "train/a.jpg").unlink()
    with pytest.raises(UserError, match=r"a\.json: (its image|names the image)"):
        Labelme(str(tmp_path))


def test_images_of_a_folder_of_their_own(tmp_path: Path) -> None:
    save(tmp_path, "train/a", [shape("cat", SQUARE)], imagePath="..\\pictures\\a.jpg")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "train/a.jpg").rename(tmp_path / "pictures/a.jpg")
    assert [path.parent.name for path in Labelme(str(tmp_path)).files()] == ["pictures"]


def test_labels_that_differ_in_case_or_blanks_alone_are_named(tmp_path: Path) -> None:
    save(tmp_path, "train/a", [shape("cat", SQUARE), shape("Cat ", SQUARE), shape("dog", SQUARE)])
    with pytest.warns(Notice, match="'Cat ' and 'cat' differ in upper case or blanks alone"):
        assert Labelme(str(tmp_path)).info.classes == ("background", "Cat ", "cat", "dog")


def test_files_that_mark_nothing_are_counted(tmp_path: Path) -> None:
    for name, shapes in (("a", [shape("cat", SQUARE)]), ("b", []), ("c", [])):
        save(tmp_path / "train", name, shapes)
    with pytest.warns(Notice, match="2 images without a shape, read as images without objects"):
        assert len(Labelme(str(tmp_path))) == 3


def test_points_alone_are_refused_with_the_export_of_keypoints(tmp_path: Path) -> None:
    save(tmp_path, "train/a", [shape("tip", [[5, 6]], "point")])
    with pytest.raises(UserError, match=r"with an area \(1 shape.* left out, .*\); for keypoints, export them as COCO"):
        Labelme(str(tmp_path))
