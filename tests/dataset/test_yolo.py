from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from densepred.dataset.yolo import Yolo
from densepred.errors import Notice, UserError
from tests.dataset.files import picture, write
from tests.dataset.yolo_tree import DATA, SIZE, label, tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for split in ("train", "val", "test"):
        tree(tmp_path, split)
    return tmp_path


def data(root: Path, text: str) -> Yolo:
    (root / "data.yaml").write_text(text)
    return Yolo(str(root))


def test_fractions_become_pixels(root: Path) -> None:
    with pytest.warns(Notice, match="1 image without a label file"):
        found = Yolo(str(root))
    assert found.info.classes == ("background", "cat", "dog")
    assert found.info.provides == ("categories", "boxes", "areas", "crowd")
    (a, b) = (found[index].truth for index in range(2))
    assert a.boxes is not None
    assert b.boxes is not None
    assert a.boxes.tolist() == [[9.5, 4.5, 29.5, 14.5]]
    assert len(b.boxes) == 0


def test_a_polygon_is_a_mask(root: Path) -> None:
    label(root, "train/b", "1 0.25 0.25 0.5 0.25 0.5 0.75 0.25 0.75\n")
    label(root, "train/a", "")
    truth = Yolo(str(root))[1].truth
    assert truth.semantic is not None
    wanted = [[2 if 5 <= y < 15 and 10 <= x < 20 else 0 for x in range(SIZE[1])] for y in range(SIZE[0])]
    assert truth.semantic.tolist() == wanted


NAMES = "names: [cat, dog]\n"


@pytest.mark.parametrize(
    "text",
    [
        DATA,
        "path: /home/someone/data\ntrain: images/train\nval: images/val\n" + NAMES,
        "train: ../images/train\nval: ../images/val\nnc: 2\n" + NAMES,
        "train: [images/train]\nval: images/val\n" + NAMES,
        "train: train.txt\nval: images/val\n" + NAMES,
    ],
)
def test_every_form_of_data_yaml_finds_the_images(root: Path, text: str) -> None:
    (root / "train.txt").write_text("./images/train/a.png\nimages/train/b.png\n")
    found = data(root, text)
    assert [path.name for path in found.files()] == ["a.png", "b.png"]
    assert found.info.classes[1:] == ("cat", "dog")


@pytest.mark.parametrize("split", ["train", "valid"])
def test_splits_as_folders_of_roboflow(tmp_path: Path, split: str) -> None:
    for word in ("train", "valid"):
        write(tmp_path / word / "images" / f"{word}.png", picture(SIZE))
        label(tmp_path, "x", "")
        (tmp_path / word / "labels").mkdir()
        (tmp_path / word / f"labels/{word}.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    (tmp_path / "data.yaml").write_text("train: ../train/images\nval: ../valid/images\nnc: 2\n" + NAMES)
    found = Yolo(str(tmp_path), split)
    assert [path.name for path in found.files()] == [f"{split}.png"]
    assert found[0].truth.categories is not None
    assert found[0].truth.categories.tolist() == [2]


def test_other_files_beside_images_are_counted_and_labels_are_not(tmp_path: Path) -> None:
    write(tmp_path / "a.png", picture(SIZE))
    for name in ("a.txt", "b.heic"):
        (tmp_path / name).write_text("")
    (tmp_path / "data.yaml").write_text("train: .\n" + NAMES)
    with pytest.warns(Notice, match=r"left out 1 other file \(\.heic\)"):
        Yolo(str(tmp_path))


def test_a_list_of_names_without_data_yaml(tmp_path: Path) -> None:
    for name in "abcdefgh":
        write(tmp_path / f"images/{name}.png", picture(SIZE))
        label(tmp_path, name, "0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "classes.txt").write_text("cat\n")
    parts = [Yolo(str(tmp_path), split, {"train": 0.5, "valid": 0.5}) for split in ("train", "valid")]
    names = [path.name for part in parts for path in part.files()]
    assert sorted(names) == [f"{name}.png" for name in "abcdefgh"]
    assert parts[0].info == parts[1].info


@pytest.mark.parametrize("points", ["0.45 0.4 0 0 0.6 0.7", "0.45 0.4 1 0 0 0", "0.45 0.9 0.5 0.5 0.5 0.6"])
def test_boxes_with_keypoints_are_not_taken_for_polygons_in_silence(tmp_path: Path, points: str) -> None:
    """Exports without data.yaml have no kpt_shape. A point outside the box belongs to a polygon."""
    write(tmp_path / "images/a.png", picture(SIZE))
    label(tmp_path, "a", f"0 0.5 0.5 0.4 0.6 {points}\n" * 2)
    (tmp_path / "classes.txt").write_text("cat\n")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", Notice)
        Yolo(str(tmp_path))
    said = " ".join(str(one.message) for one in told)
    assert ("2 objects read as polygons, though all may be boxes with keypoints" in said) == ("0.9" not in points)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("0 0.5 0.5 0.5\n", "line 1: .*write `class x y width height`"),
        ("\n0 0.5 0.5 0.5 0.5 0.9\n", r"line 2: .*a sixth column, .* confidence; remove it from each line"),
        ("0 100 50 20 10\n", "lies outside 0 to 1"),
        ("2 0.5 0.5 0.5 0.5\n", "2 is none of the 2 classes"),
        ("-1 0.5 0.5 0.5 0.5\n", "write `class"),
        ("0 nan 0.5 0.5 0.5\n", "write `class"),
    ],
)
def test_a_line_of_another_form_is_refused(root: Path, lines: str, said: str) -> None:
    label(root, "train/a", lines)
    with pytest.raises(UserError, match=said):
        Yolo(str(root))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train: images/train\n", "has no `names`"),
        ("train: images/train\nnames: [yes, no]\n", "words of YAML for true and false; write them in quotes"),
        ("train: images/train\nnc: 3\n" + NAMES, "nc is 3, but it has 2 names"),
        ("train: images/train\nkpt_shape: [17, 3]\n" + NAMES, "coco_keypoints"),
        ("train: images/nowhere\n" + NAMES, "is missing"),
        ("train: images/train\nnames: {1: cat, 2: dog}\n", "mapping of 0, 1"),
        (NAMES, "names no images"),
        ("train: [\n", "cannot be read as YAML"),
        ("train: /etc\n" + NAMES, "leads out of"),
    ],
)
def test_a_data_yaml_that_cannot_be_followed_is_refused(root: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        data(root, text)


def test_labels_that_are_all_missing_are_refused(root: Path) -> None:
    (root / "labels").rename(root / "annotations")
    with pytest.raises(UserError, match="none of the 2 images of train has a label file"):
        Yolo(str(root))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train = data/train.txt\n", "has no lines for `names` and `train`"),
        ("names = data/obj.names\nvalid =\n", "has no lines for `names` and `train`"),
        ("classes = 3\ntrain = data/train.txt\nnames = data/obj.names\n", "classes is '3', but data/obj.names has 2"),
        ("train = data/train.txt\nnames = gone.names\n", "'gone.names' is missing"),
        ("train = data/train.txt\nnames = /etc/passwd\n", "leads out of"),
    ],
)
def test_faults_of_obj_data_are_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "train.txt").write_text("data/obj_train_data/a.png\n")
    (tmp_path / "obj.names").write_text("cat\ndog\n")
    (tmp_path / "obj.data").write_text(text)
    with pytest.raises(UserError, match=f"obj.data: .*{said}"):
        Yolo(str(tmp_path))


def test_turned_boxes_are_refused_with_what_to_export(root: Path) -> None:
    (root / "labels").rename(root / "labelTxt")
    with pytest.raises(UserError, match="labelTxt holds turned boxes; export polygons"):
        Yolo(str(root))
