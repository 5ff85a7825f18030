from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

from densepred.dataset.voc_detection import VocDetection
from densepred.errors import Misfit, Notice, UserError
from tests.dataset.files import picture, write
from tests.dataset.voc_detection_tree import SIZE, tree, xml


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for split in ("train", "val"):
        tree(tmp_path, split)
    return tmp_path


def test_corners_count_pixels_from_1_and_difficult_objects_are_crowds(root: Path) -> None:
    with pytest.warns(Notice, match="1 object marked difficult"):
        found = VocDetection(str(root))
    assert found.info.classes == ("background", "cat", "dog")
    truth = found[0].truth
    assert truth.boxes is not None
    assert truth.crowd is not None
    assert truth.boxes.tolist() == [[9.5, 4.5, 29.5, 14.5], [-0.5, -0.5, 4.5, 4.5]]
    assert truth.crowd.tolist() == [False, True]


def test_corners_as_edges(root: Path) -> None:
    boxes = VocDetection(str(root), one_based=False)[0].truth.boxes
    assert boxes is not None
    assert boxes[0].tolist() == [10.5, 5.5, 29.5, 14.5]


def test_lists_name_the_files_of_a_split(root: Path) -> None:
    assert [path.name for path in VocDetection(str(root), "valid").files()] == ["val_a.jpg"]
    (root / "ImageSets/Main/train.txt").write_text("train_a  1\nval_a -1\n")
    assert len(VocDetection(str(root))) == 2


def test_an_image_that_was_renamed_with_its_file_keeps_its_boxes(tmp_path: Path) -> None:
    for name, given, left in (("001", "001.jpg", 1), ("002", "001.jpg", 11), ("003", "002.png", 21)):
        write(tmp_path / f"JPEGImages/{name}.jpg", picture(SIZE))
        (tmp_path / "Annotations").mkdir(exist_ok=True)
        (tmp_path / f"Annotations/{name}.xml").write_text(xml(given, ("cat", 0, left, 1, left + 3, 4)))
    with pytest.warns(Notice, match="2 images found by the name of the XML file, which gives another one"):
        data = VocDetection(str(tmp_path), splits={"train": 1.0})
    boxes = {path.stem: data[i].truth.need("boxes")[:, 0].tolist() for i, path in enumerate(data.files())}
    assert boxes == {"001": [-0.5], "002": [9.5], "003": [19.5]}


@pytest.mark.parametrize("given", ["a", "a.jpg", "", None, "C:\\pictures\\a.png"])
def test_an_image_is_found_by_the_name_of_its_file(tmp_path: Path, given: str | None) -> None:
    """Old versions of labelImg leave out the extension, and images get converted."""
    write(tmp_path / "train/a.png", picture(SIZE))
    text = xml(given or "", ("cat", 0, 1, 1, 4, 4))
    (tmp_path / "train/a.xml").write_text(text if given is not None else text.replace("<filename></filename>", ""))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Notice)
        (file,) = VocDetection(str(tmp_path)).files()
    assert file.name == "a.png"
    told = any("1 image found by the name of the annotation file" in str(one.message) for one in caught)
    assert told == (given is None or not given.endswith(".png"))


@pytest.mark.parametrize("end", ["JPG", "Jpeg"])
def test_an_image_is_found_in_any_case_of_its_extension(tmp_path: Path, end: str) -> None:
    write(tmp_path / f"train/a.{end}", picture(SIZE))
    (tmp_path / "train/a.jpg").hardlink_to(tmp_path / f"train/a.{end}")  # as if both names were of one file
    (tmp_path / "train/a.xml").write_text(xml("IMG_1", ("cat", 0, 1, 1, 4, 4)))
    assert [file.name for file in VocDetection(str(tmp_path)).files()] == ["a.jpg"]
    (tmp_path / "train/a.jpg").unlink()
    assert [file.name for file in VocDetection(str(tmp_path)).files()] == [f"a.{end}"]


def test_of_two_images_with_the_name_of_the_file_none_is_chosen(tmp_path: Path) -> None:
    for end in ("png", "bmp"):
        write(tmp_path / f"train/a.{end}", picture(SIZE))
    (tmp_path / "train/a.xml").write_text(xml("a", ("cat", 0, 1, 1, 4, 4)))
    with pytest.raises(Misfit, match="its image 'a' is missing"):
        VocDetection(str(tmp_path))


def test_files_beside_their_images_in_a_folder_per_split(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        write(tmp_path / f"{split}/{split}.jpg", picture(SIZE))
        (tmp_path / f"{split}/{split}.xml").write_text(xml(f"{split}.jpg", ("cat", 0, 1, 1, 4, 4)))
    for split in ("train", "valid"):
        assert [path.name for path in VocDetection(str(tmp_path), split).files()] == [f"{split}.jpg"]


def test_one_folder_is_divided(tmp_path: Path) -> None:
    for name in "abcdef":
        write(tmp_path / f"{name}.jpg", picture(SIZE))
        (tmp_path / f"{name}.xml").write_text(xml(f"{name}.jpg", ("cat", 0, 1, 1, 4, 4)))
    parts = [VocDetection(str(tmp_path), split, {"train": 0.5, "valid": 0.5}) for split in ("train", "valid")]
    assert sorted(path.stem for part in parts for path in part.files()) == list("abcdef")


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><annotation>&c;</annotation>'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "declares a document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "declares a document type"),
        ("<annotation>", "cannot be read as XML"),
        ("", "cannot be read as XML"),
        (xml("train_a.jpg", ("cat", 0, "x", 1, 2, 2)), "object 1: its bndbox"),
        (xml("train_a.jpg", ("cat", 0, 9, 1, 2, 2)), "object 1: has the name 'cat'"),
        (xml("train_a.jpg", ("", 0, 1, 1, 2, 2)), "object 1: has the name ''"),
        (xml("train_a.jpg", ("cat", 0, "nan", 1, 2, 2)), "finite numbers"),
    ],
)
@pytest.mark.parametrize("code", ["utf-8", "utf-16"])
def test_a_file_that_cannot_be_trusted_is_refused(root: Path, text: str, said: str, code: str) -> None:
    (root / "Annotations/train_a.xml").write_text(text, encoding=code)
    with pytest.raises(UserError, match=said):
        VocDetection(str(root))


def test_a_missing_image_is_refused(root: Path) -> None:
    (root / "Annotations/train_a.xml").write_text(xml("gone.jpg"))
    (root / "JPEGImages/train_a.jpg").unlink()
    with pytest.raises(UserError, match=r"its image 'gone\.jpg' is missing"):
        VocDetection(str(root))


def test_a_large_file_is_refused(root: Path) -> None:
    (root / "Annotations/train_a.xml").write_bytes(b" " * ((1 << 22) + 1))
    with pytest.raises(UserError, match="more than 4 MB"):
        VocDetection(str(root))


def test_images_of_another_size_than_their_file_gives_are_counted(root: Path) -> None:
    path = root / "Annotations/train_a.xml"
    text = path.read_text()
    for width, height, counted in ((80, 40, True), (0, 0, False), (20, 40, False)):
        size = f"<width>{width}</width><height>{height}</height>"
        path.write_text(text.replace("<width>40</width><height>20</height>", size))
        with pytest.warns(Notice) as told:  # one tells of the difficult object
            VocDetection(str(root))
        assert any("1 image of another size" in str(one.message) for one in told) == counted


def test_a_list_may_begin_with_a_byte_order_mark(root: Path) -> None:
    (root / "ImageSets/Main/val.txt").write_bytes(b"\xef\xbb\xbfval_a\r\n")
    assert [path.name for path in VocDetection(str(root), "valid").files()] == ["val_a.jpg"]


def test_a_list_may_name_images_without_an_xml_file(root: Path) -> None:
    """VOC's lists have comments in some programs, and images that have no labels."""
    (root / "ImageSets/Main/train.txt").write_text("# checked\ntrain_a\nbare\n")
    with pytest.raises(Misfit, match=r"train.txt: 1 of the 2 files.*bare.xml; add them.*dataset.unpaired=skip") as told:
        VocDetection(str(root))
    assert told.value.names == ("bare",)
    with pytest.warns(Notice, match="1 image of the list has no XML file, and is left out"):
        found = VocDetection(str(root), unpaired="skip")
    assert [path.name for path in found.files()] == ["train_a.jpg"]
    (root / "ImageSets/Main/train.txt").write_text("bare\n")
    with pytest.raises(Misfit, match="1 of the 1 files"):
        VocDetection(str(root), unpaired="skip")


def test_a_list_that_is_missing_names_the_others(root: Path) -> None:
    lists = root / "ImageSets/Main"
    (lists / "val.txt").rename(lists / "minival.txt")
    (lists / "cat_train.txt").write_text("train_a 1\n")
    with pytest.raises(UserError, match=r"missing, but there are minival, train; type dataset.splits.valid=minival$"):
        VocDetection(str(root), "valid")
    (lists / "minival.txt").unlink()
    with pytest.raises(UserError, match=r"val.txt: is missing, but there are train; write it, one name a line$"):
        VocDetection(str(root), "valid")


def test_files_without_objects_and_boxes_that_count_from_0_are_counted(tmp_path: Path) -> None:
    for name, objects in (("a", [("cat", 0, 0, 4, 9, 12)]), ("b", [("cat", 0, 1, 1, 9, 12)]), ("c", [])):
        write(tmp_path / f"train/{name}.jpg", picture((20, 40)))
        (tmp_path / f"train/{name}.xml").write_text(xml(f"{name}.jpg", *objects))
    with pytest.warns(Notice) as told:
        assert len(VocDetection(str(tmp_path))) == 3
    text = " ".join(str(one.message) for one in told)
    assert "1 image without an object in its XML file" in text
    assert re.search(r"1 box that begins before the first pixel, .* type dataset\.one_based=false", text)
    with pytest.warns(Notice) as told:
        VocDetection(str(tmp_path), one_based=False)
    assert not [one for one in told if "one_based" in str(one.message)]
