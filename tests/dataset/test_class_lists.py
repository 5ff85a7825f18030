"""Files of classes that annotation programs write, and the id of unlabelled pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from densepred.dataset.folder import Folder
from densepred.errors import Notice
from densepred.types import VOID, UserError
from tests.dataset.files import picture, stored, write

IDS = (np.arange(63) % 4).reshape(7, 9).astype(np.uint8)


def tree(root: Path, ids: np.ndarray = IDS) -> str:
    write(root / "images/train/a.png", picture())
    write(root / "masks/train/a.png", ids)
    return str(root)


def test_classes_of_cvat_have_the_colours_of_labelmap_txt_in_rgb_and_in_palette_masks(tmp_path: Path) -> None:
    (tmp_path / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nsky:0,0,9::\ncar:9,0,0::\nfog:1,2,3::\n")
    colours = np.array([[0, 0, 9], [9, 0, 0], [1, 2, 3]], np.uint8)
    ids = IDS % 3
    root = tree(tmp_path, colours[ids])
    with pytest.warns(Notice, match=r"labelmap\.txt: names 3 classes of the masks"):
        data = Folder(root)
    assert data.info.classes == ("sky", "car", "fog")
    assert data.info.palette == ((0, 0, 9), (9, 0, 0), (1, 2, 3))
    assert torch.equal(data[0].truth.need("semantic"), torch.from_numpy(ids))
    image = Image.fromarray(ids)
    image.putpalette(colours.tobytes())
    image.save(tmp_path / "masks/train/a.png")
    with pytest.warns(Notice):
        assert torch.equal(Folder(root)[0].truth.need("semantic"), torch.from_numpy(ids))


@pytest.mark.filterwarnings("ignore::densepred.errors.Notice")
def test_classes_of_roboflow_have_the_pixel_values_of_the_list(tmp_path: Path) -> None:
    root = tree(tmp_path, np.array([[0, 3]], np.uint8)[:, IDS % 2][0])
    (tmp_path / "images/train/_classes.csv").write_text("Pixel Value, Class\r\n0, background\r\n3, cat\r\n")
    data = Folder(root)
    assert data.info.classes == ("background", "cat")
    assert torch.equal(data[0].truth.need("semantic"), torch.from_numpy(IDS % 2))


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.filterwarnings("ignore::densepred.errors.Notice")
def test_classes_of_nnunet_are_the_labels_and_ignore_is_void(version: int, tmp_path: Path) -> None:
    names = {"background": 0, "liver": 1, "tumour": 2, "ignore": 3}
    labels = names if version == 2 else {str(id): name for name, id in names.items()}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    data = Folder(tree(tmp_path))
    assert data.info.classes == ("background", "liver", "tumour")
    assert torch.equal(data[0].truth.need("semantic"), torch.from_numpy(np.where(IDS == 3, VOID, IDS)))


def test_regions_of_nnunet_are_named(tmp_path: Path) -> None:
    root = tree(tmp_path)
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({"labels": {"background": 0, "whole": [1, 2]}}))
    with pytest.raises(
        UserError, match=r"'whole' is a region of several ids .*type 'dataset\.classes=\[background,label_1,label_2\]'$"
    ):
        Folder(root)


def test_a_line_of_a_list_that_is_no_class_is_named(tmp_path: Path) -> None:
    root = tree(tmp_path)
    (tmp_path / "labelmap.txt").write_text("sky:0,0\n")
    with pytest.raises(UserError, match=r"the colour of 'sky'"):
        Folder(root)
    (tmp_path / "labelmap.txt").unlink()
    (tmp_path / "_classes.csv").write_text("Pixel Value, Class\nx, sky\n")
    with pytest.raises(UserError, match=r"'x,sky' is no class"):
        Folder(root)


def test_unlabelled_pixels_are_void_and_the_other_ids_number_themselves(tmp_path: Path) -> None:
    expected = torch.from_numpy(np.where(IDS == 0, VOID, IDS - 1)).to(torch.uint8)
    root = tree(tmp_path)
    for classes in (None, 3, ["wall", "sky", "tree"]):
        data = Folder(root, classes=classes, unlabelled=0)
        assert len(data.info.classes) == 3
        assert torch.equal(data[0].truth.need("semantic"), expected)
    (tmp_path / "classes.json").write_text(json.dumps(["wall", "sky", "tree"]))
    data = Folder(root, unlabelled=0)
    assert data.info.classes == ("wall", "sky", "tree")
    assert torch.equal(data[0].truth.need("semantic"), expected)


def test_ids_that_no_mask_holds_are_counted_and_classes_are_called_after_their_ids(tmp_path: Path) -> None:
    root = tree(tmp_path, np.array([0, 5, 7, 255], np.uint8)[IDS])
    with pytest.warns(Notice, match=r"lack 1 ids below 7 \(6\), which are no classes; dataset\.classes=7"):
        data = Folder(root, unlabelled=0, ignore_index=255)
    assert data.info.classes == ("class_5", "class_7")
    assert torch.equal(
        data[0].truth.need("semantic"), torch.tensor([VOID, 0, 1, VOID], dtype=torch.uint8)[IDS.astype(int)]
    )


def test_a_palette_belongs_to_the_classes_without_the_unlabelled_id(tmp_path: Path) -> None:
    colours = [[0, 0, 9], [9, 0, 0], [1, 2, 3]]
    root = tree(tmp_path, np.array(colours, np.uint8)[IDS % 3])
    data = Folder(root, classes=3, unlabelled=0, palette=colours)
    assert torch.equal(data[0].truth.need("semantic"), torch.from_numpy(IDS % 3))


def test_files_that_the_suffixes_leave_out_are_counted(tmp_path: Path) -> None:
    root = tree(tmp_path)
    for end in ("_0000", "_0001"):
        write(tmp_path / f"images/train/a{end}.png", picture())
    (tmp_path / "images/train/a.png").unlink()
    with pytest.warns(Notice, match=r"images/train: 1 file left out.*a_0001\.png"):
        data = Folder(root, image_suffix="_0000")
    assert torch.equal(data[0].image.permute(1, 2, 0), stored(tmp_path / "images/train/a_0000.png"))
    with pytest.raises(UserError, match=r"holds no images whose names end in _x"):
        Folder(root, image_suffix="_x")


def test_one_folder_needs_ends_that_tell_images_from_masks(tmp_path: Path) -> None:
    write(tmp_path / "data/a.jpg", picture())
    write(tmp_path / "data/a.png", IDS)
    with pytest.raises(
        UserError, match=r"'dataset\.image_suffix=\.jpg|dataset\.image_suffix=\.jpg dataset\.mask_suffix"
    ):
        Folder(str(tmp_path), images="data", masks="data")
    data = Folder(str(tmp_path), images="data", masks="data", image_suffix=".jpg", mask_suffix=".png")
    assert [pair.image.name for pair in data.pairs] == ["a.jpg"]
    assert torch.equal(data[0].truth.need("semantic"), torch.from_numpy(IDS))
