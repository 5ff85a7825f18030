"""Files that belong to images: by the words of a run, by ends of names, by folders, and by their content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from densepred.dataset.companions import Words, companions
from densepred.dataset.folder import Folder
from densepred.errors import Notice
from tests.dataset.files import mask, picture, write

ONE = Words(".", ".", "", "_ids")
CASES: dict[str, tuple[Words, list[str], list[str]]] = {
    # the words of the run, images, files that belong to them
    "cellpose": (Words(), ["a_img.png", "b_img.png"], ["a_masks.png", "a_img_seg.npy", "b_masks.png"]),
    "cellpose with flows": (Words(), ["a.png"], ["a_cp_masks.png", "a_dP_cp_masks.tif", "a_outlines_cp_masks.png"]),
    "mask": (Words(), ["a.jpg", "b.jpg", "c.jpg"], ["a_mask.png", "b_mask.png"]),
    "gt": (Words(), ["s/a.png"], ["s/a_gt.png"]),
    "labels": (Words(), ["a.tif"], ["a_label.tif", "a_flows.tif", "a_overlay.png"]),
    "words": (ONE, ["a.png", "b.png", "b_gt.png"], ["a_ids.png", "b_ids.png"]),
    "extensions": (Words(".", ".", ".jpg", ".png"), ["a.jpg", "b.png"], ["a.png"]),
    "channels": (Words("i", "m", "_0000"), ["i/case_1_0000.png"], ["i/case_1_0001.png", "m/case_1.png"]),
    "root": (Words("images/{split}", "truth/{split}"), ["images/val/s/a.png"], ["truth/val/s/a.png"]),
    "nnunet": (Words(), ["imagesTr/a_0000.nii.gz", "imagesTs/b_0000.nii.gz"], ["labelsTr/a.nii.gz"]),
    "voc": (Words(), ["JPEGImages/a.jpg", "JPEGImages/b.jpg"], ["SegmentationClass/a.png", "SegmentationObject/a.png"]),
    "camvid": (Words(), ["train/a.png", "val/a.png"], ["trainannot/a.png", "valannot/a.png"]),
    "cityscapes": (Words(), ["leftImg8bit/val/c/a_leftImg8bit.png"], ["gtFine/val/c/a_gtFine_labelIds.png"]),
    "panoptic": (Words(), ["images/val/a.jpg"], ["annotations/panoptic_val/a.png"]),
    "drawings": (Words(), ["JPEGImages/a.jpg"], ["Visualization/a.jpg"]),
    "none": (Words(), ["a.png", "a_left.png", "a_seg/b.png", "mask/c.png", "x_mask.png"], []),
    "only masks": (ONE, ["a_ids.png", "b_ids.png"], []),
    "photographs": (Words(), ["a.png", "a_mask.jpg", "b.jpg"], []),
}


@pytest.mark.parametrize("case", CASES)
def test_files_belong_to_images_by_their_names(case: str, tmp_path: Path) -> None:
    words, images, others = CASES[case]
    for name in (*images, *others):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".png", ".jpg"):
            write(path, mask() if name in others else picture())
        else:
            path.write_bytes(b"no image")
    found = companions([tmp_path / name for name in (*images, *others)], tmp_path, words)
    assert {path.relative_to(tmp_path).as_posix() for path in found} == set(others)
    assert {path.relative_to(tmp_path).as_posix() for path in found.values()} <= set(images)


def test_photographs_are_no_masks_whatever_their_names(tmp_path: Path) -> None:
    photograph = picture((40, 60))
    for name in ("a.png", "a_mask.png", "images/b.png", "masks/b.png"):
        write(tmp_path / name, photograph)
    files = sorted(tmp_path.rglob("*.png"))
    assert companions(files, tmp_path, Words()) == {}
    coded = np.array([[0, 0, 0], [128, 0, 0]], np.uint8)[mask((40, 60), 2)]
    write(tmp_path / "a_mask.png", coded)
    assert companions(files, tmp_path, Words()) == {tmp_path / "a_mask.png": tmp_path / "a.png"}


def test_a_folder_without_masks_tells_which_images_are_masks(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.png", picture())
        write(tmp_path / f"{name}_mask.png", mask())
    with pytest.warns(Notice, match=r"2 of 4 images belong to others .* \(a_mask\.png of a\.png\); to leave"):
        Folder(str(tmp_path), images=".", masks=None, splits={"train": 1.0}, channels=3)
