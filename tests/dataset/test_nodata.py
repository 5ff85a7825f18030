"""Pixels without data in rasters: black, void in the labels, and left out of statistics."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from densepred.codec.things import Things
from densepred.dataset import nodata
from densepred.dataset.coco_instances import CocoInstances
from densepred.dataset.folder import Folder
from densepred.dataset.image import read_image, read_stored
from densepred.dataset.image_header import read_header
from densepred.dataset.instance_folder import InstanceFolder
from densepred.dataset.mask import read_mask
from densepred.dataset.mpii import Mpii
from densepred.errors import UserError
from densepred.metric.mask_ap import MaskAp
from densepred.metric.panoptic_quality import PanopticQuality
from densepred.types import VOID, Annotation
from tests.dataset import coco_tree, mpii_tree
from tests.dataset.files import mask, write

RANDOM = np.random.default_rng(5)
HOLE = np.zeros((20, 30), bool)
HOLE[3:9, 4:20] = True


def save(path: Path, values: np.ndarray, empty: str) -> Path:
    write(path, values, tiffinfo={nodata.TAG: empty})
    return path


@pytest.mark.parametrize(
    ("kind", "empty"),
    [(np.uint8, "0"), (np.uint8, "255"), (np.uint16, "65535"), (np.float32, "-9999"), (np.float32, "nan")],
)
@pytest.mark.parametrize("bands", [1, 3, 5])
def test_nodata_is_black_and_void(tmp_path: Path, kind: type, empty: str, bands: int) -> None:
    top = 1 if kind == np.float32 else 200
    values = (
        (RANDOM.random((20, 30, bands)) * top).astype(kind)
        if top == 1
        else RANDOM.integers(1, top, (20, 30, bands)).astype(kind)
    )
    values[HOLE] = float(empty)
    path = tmp_path / "images/train/a.tif"
    if bands == 1 or (bands == 3 and kind == np.uint8):
        save(path, values.squeeze(2) if bands == 1 else values, empty)
    else:
        tifffile = pytest.importorskip("tifffile")
        path.parent.mkdir(parents=True)
        tifffile.imwrite(
            path, values, photometric="minisblack", planarconfig="contig", extratags=[(nodata.TAG, "s", 0, empty, True)]
        )
    stored = read_stored(path)
    assert stored.void is not None
    assert (stored.void.numpy() == HOLE).all()
    assert (stored.image[:, HOLE] == 0).all()
    white = {np.uint8: 1, np.uint16: 65535, np.float32: 1}[kind]
    torch.testing.assert_close(
        stored.image[:, ~HOLE].T.double(), torch.from_numpy(values[~HOLE] / white).double(), atol=1e-6, rtol=0
    )
    assert read_header(path).nodata == pytest.approx(float(empty), nan_ok=True)
    ids = mask((20, 30))
    write(tmp_path / "masks/train/a.png", ids)
    data = Folder(str(tmp_path))
    expected = np.where(HOLE, VOID, ids)
    assert (data[0].truth.need("semantic").numpy() == expected).all()
    assert data.images_line().endswith(
        f"1 of 1 name a value of pixels without data ({float(empty):g}): black, and void"
    )
    if bands != 3:
        seen = values[~HOLE].astype(np.float64) / (255 if kind != np.float32 else 1)
        assert data.info.mean == pytest.approx(seen.mean(0), abs=1e-4)


@pytest.mark.parametrize("kind", [np.int16, np.float32, np.float64])
@pytest.mark.parametrize("bands", [1, 5])
def test_nodata_is_black_in_a_window_that_zero_lies_in(tmp_path: Path, kind: type, bands: int) -> None:
    tifffile = pytest.importorskip("tifffile")
    values = RANDOM.integers(-100, 200, (20, 30, bands)).astype(kind)
    values[HOLE], values[0, 0, 0] = -9999, -9999
    stored, layout = (values[..., 0], None) if bands == 1 else (values, "contig")
    tag = [(nodata.TAG, "s", 0, "-9999", True)]
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", planarconfig=layout, extratags=tag)
    image = read_stored(tmp_path / "a.tif", max_value=[40, 400]).image
    expected = np.where(values == -9999, 0, (values.astype(np.float64) + 160) / 400)
    torch.testing.assert_close(image, torch.from_numpy(expected).float().movedim(2, 0))


def test_nodata_is_black_where_zero_is_white(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    values = RANDOM.integers(1, 200, (20, 30), dtype=np.uint16)
    values[HOLE] = 65535
    for name, pages in (("one", values), ("two", np.stack([values, values]))):
        tag = [(nodata.TAG, "s", 0, "65535", True)]
        tifffile.imwrite(tmp_path / f"{name}.tif", pages, photometric="miniswhite", extratags=tag)
        image = read_stored(tmp_path / f"{name}.tif").image
        assert (image[:, HOLE] == 0).all()
        torch.testing.assert_close(image[0][~HOLE], 1 - torch.from_numpy(values[~HOLE] / 65535).float())


def test_bytes_of_which_only_some_bands_equal_nodata_stay(tmp_path: Path) -> None:
    values = RANDOM.integers(1, 200, (20, 30, 3), dtype=np.uint8)
    values[0, 0] = (255, 3, 255)
    path = save(tmp_path / "a.tif", values, "255")
    assert read_image(path)[:, 0, 0].tolist() == [255, 3, 255]


def test_instances_are_not_looked_for_where_there_is_no_data(tmp_path: Path) -> None:
    values = RANDOM.integers(1, 200, (20, 30), dtype=np.uint8)
    values[HOLE] = 0
    save(tmp_path / "images/train/a.tif", values, "0")
    ids = np.zeros((20, 30), np.uint8)
    ids[12:15, 2:9], ids[12:15, 15:20] = 1, 2
    write(tmp_path / "instances/train/a.png", ids)
    truth = InstanceFolder(str(tmp_path))[0].truth
    assert truth.ignore is not None
    assert (truth.ignore.numpy() == HOLE).all()
    assert (truth.need("semantic").numpy()[HOLE] == VOID).all()


def test_objects_over_pixels_without_data_lose_them_and_are_neither_learnt_nor_expected_if_none_is_left(
    tmp_path: Path,
) -> None:
    values = RANDOM.integers(1, 200, (20, 30), dtype=np.uint8)
    values[HOLE] = 0
    save(tmp_path / "images/train/a.tif", values, "0")
    ids = np.zeros((20, 30), np.uint8)
    ids[12:15, 2:9], ids[7:12, 15:20], ids[4:8, 6:12] = 1, 2, 3  # beside the hole, half over it, in it
    write(tmp_path / "instances/train/a.png", ids)
    data = InstanceFolder(str(tmp_path))
    truth = data[0].truth
    assert (truth.need("instances").numpy() == np.where(HOLE, 0, ids)).all()
    assert truth.need("crowd").tolist() == [False, False, True]
    assert truth.need("areas").tolist() == [21, 15, 0]
    assert len(Things(data.info).training_boxes(truth).boxes) == 2
    seen = ids * (ids < 3) * ~HOLE
    found = Annotation(truth.size, semantic=torch.from_numpy((seen > 0).astype(np.uint8)))
    found.instances, found.categories = torch.from_numpy(seen.astype(np.int32)), torch.ones(2, dtype=torch.int64)
    found.scores = torch.ones(2)
    for metric, key in ((PanopticQuality(data.info), "pq"), (MaskAp(data.info), "ap")):
        metric.add(found, truth)
        assert metric.compute()[key] == 1


def test_a_box_in_pixels_without_data_is_a_crowd_and_one_half_in_them_stays(tmp_path: Path) -> None:
    values = RANDOM.integers(1, 200, (*coco_tree.SIZE, 3), dtype=np.uint8)
    values[:, :20] = 0
    save(tmp_path / "train/a.tif", values, "0")
    told = coco_tree.instances()
    image = {**told["images"][0], "file_name": "a.tif"}
    boxes = [[2, 2, 8, 8], [15, 2, 10, 8], [25, 2, 8, 8]]
    one = {"image_id": image["id"], "category_id": told["categories"][0]["id"], "iscrowd": 0, "segmentation": []}
    told["images"], told["annotations"] = [image], [{**one, "id": i + 1, "bbox": box} for i, box in enumerate(boxes)]
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/instances_train.json").write_text(json.dumps(told))
    truth = CocoInstances(str(tmp_path))[0].truth
    assert truth.need("crowd").tolist() == [True, False, False]
    assert truth.need("boxes").tolist()[1] == [14.5, 1.5, 24.5, 9.5]


def test_coco_has_no_ground_truth_where_there_is_no_data(tmp_path: Path) -> None:
    values = RANDOM.integers(1, 200, (*coco_tree.SIZE, 3), dtype=np.uint8)
    values[3:9, 30:] = 0
    save(tmp_path / "train/a.tif", values, "0")
    told = coco_tree.instances()
    told["images"] = [{**told["images"][0], "file_name": "a.tif"}]
    told["annotations"] = [one for one in told["annotations"] if one["image_id"] == told["images"][0]["id"]][:2]
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/instances_train.json").write_text(json.dumps(told))
    truth = CocoInstances(str(tmp_path))[0].truth
    assert (truth.need("ignore").numpy() == (values == 0).all(2)).all()
    assert (truth.need("semantic").numpy()[3:9, 30:] == VOID).all()


def test_mpii_has_no_ground_truth_where_there_is_no_data(tmp_path: Path) -> None:
    values = RANDOM.integers(1, 200, (*mpii_tree.SIZE, 3), dtype=np.uint8)
    values[3:9, 30:] = 0
    mpii_tree.tree(tmp_path, "train")
    save(tmp_path / "images/a.tif", values, "0")
    people = [{**one, "image": "a.tif"} for one in mpii_tree.people()]
    (tmp_path / "annot/train.json").write_text(json.dumps(people))
    truth = Mpii(str(tmp_path), heads=None)[0].truth
    assert (truth.need("ignore").numpy() == (values == 0).all(2)).all()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_pages_without_data_are_black_and_void_where_all_are(tmp_path: Path, kind: type) -> None:
    pages = RANDOM.integers(10, 200, (2, 20, 30)).astype(kind)
    pages[:, HOLE] = 7
    pages[0, 0, 0] = 7
    first, second = map(Image.fromarray, pages)
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second], tiffinfo={nodata.TAG: "7"})
    image, _, void = read_stored(tmp_path / "a.tif")
    assert void is not None
    assert (void.numpy() == HOLE).all()
    assert (image[:, HOLE] == 0).all()
    assert (image[:, ~HOLE][1] > 0).all()


@pytest.mark.parametrize("text", ["", "none", "1e999999", "1,5"])
def test_a_strange_value_is_no_fault(tmp_path: Path, text: str) -> None:
    path = save(tmp_path / "a.tif", RANDOM.integers(1, 200, (20, 30), dtype=np.uint8), text)
    stored = read_stored(path)
    assert stored.void is None or not stored.void.any()


def test_masks_of_jpeg_in_tiff_are_refused(tmp_path: Path) -> None:
    Image.fromarray(mask((32, 32))).save(tmp_path / "a.tif", compression="jpeg")
    with pytest.raises(UserError, match=r"a\.tif: is a JPEG"):
        read_mask(tmp_path / "a.tif")


def test_images_without_any_data_have_no_statistics(tmp_path: Path) -> None:
    save(tmp_path / "images/train/a.tif", np.full((7, 9), 5, np.uint8), "5")
    write(tmp_path / "masks/train/a.png", mask())
    with pytest.raises(UserError, match=r"a\.tif: it and .* no pixel with data .*set dataset\.mean and dataset\.std"):
        Folder(str(tmp_path))
    assert Folder(str(tmp_path), mean=[0.5], std=[0.2]).info.mean == (0.5,)
