"""Images of every depth have the brightness that their values mean, decided once, when they are read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from densepred.contracts import Dataset
from densepred.dataset.cityscapes import Cityscapes
from densepred.dataset.cityscapes_panoptic import CityscapesPanoptic
from densepred.dataset.coco_instances import CocoInstances
from densepred.dataset.coco_keypoints import CocoKeypoints
from densepred.dataset.coco_panoptic import CocoPanoptic
from densepred.dataset.folder import Folder
from densepred.dataset.image import from_array, read_image
from densepred.dataset.image_header import read_header
from densepred.dataset.instance_folder import InstanceFolder
from densepred.dataset.intensity import white_of
from densepred.dataset.mask import read_mask
from densepred.dataset.mpii import Mpii
from densepred.jobs.parts import read_as_trained
from densepred.types import UserError
from tests.dataset.files import mask, write

RANDOM = np.random.default_rng(1)
BYTES = RANDOM.integers(0, 256, (7, 9), dtype=np.uint8)
TWELVE = RANDOM.integers(0, 4096, (7, 9), dtype=np.uint16)
TWELVE.flat[0] = 4000


def tree(root: Path, *images: np.ndarray, **options: object) -> Path:
    """Draw a training and a validation split of the same images, with masks of three classes."""
    for split in ("train", "val"):
        for index, values in enumerate(images):
            write(root / f"images/{split}/{index}.tif", values, **options)
            write(root / f"masks/{split}/{index}.png", mask(values.shape[:2]))
    return root


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64, np.uint32])
def test_integers_of_0_to_255_are_bytes_whatever_their_type(tmp_path: Path, kind: type) -> None:
    np.save(tmp_path / "a.npy", BYTES.astype(kind))
    for image in (read_image(tmp_path / "a.npy"), from_array(BYTES.astype(kind))):
        assert image.dtype == torch.uint8
        assert torch.equal(image[0], torch.from_numpy(BYTES))
    deep = from_array(TWELVE.astype(kind))
    torch.testing.assert_close(deep[0].double(), torch.from_numpy(TWELVE / 65535), atol=1e-7, rtol=0)


def test_uint16_is_of_16_bits_unless_training_images_are_darker(tmp_path: Path) -> None:
    torch.testing.assert_close(from_array(TWELVE)[0].double(), torch.from_numpy(TWELVE / 65535), atol=1e-7, rtol=0)
    image = from_array(TWELVE, max_value=4095)
    torch.testing.assert_close(image[0].double(), torch.from_numpy(TWELVE / 4095), atol=1e-7, rtol=0)
    assert torch.equal(from_array(BYTES.astype(np.uint16), max_value=255)[0], torch.from_numpy(BYTES))


@pytest.mark.parametrize(("top", "white"), [(200, 255), (1000, 1023), (4000, 4095), (4096, 16383), (20000, 65535)])
def test_white_is_that_of_the_smallest_usual_depth(top: int, white: int) -> None:
    assert white_of(top) == white


def test_white_is_measured_in_training_images_for_every_split(tmp_path: Path) -> None:
    root = tree(tmp_path, TWELVE, TWELVE // 2)
    for split in ("train", "valid"):
        data = Folder(str(root), split)
        assert data.info.max_value == 4095
        torch.testing.assert_close(data[0].image[0].double(), torch.from_numpy(TWELVE / 4095), atol=1e-7, rtol=0)
    assert data.images_line() == "1 channel of 16 bits, 7x9; white is 4095 (dataset.max_value sets it)"
    values = np.concatenate((TWELVE, TWELVE // 2)) / 4095
    assert data.info.mean == pytest.approx([values.mean()], abs=1e-4)
    given = Folder(str(root), max_value=65535)
    torch.testing.assert_close(given[0].image[0].double(), torch.from_numpy(TWELVE / 65535), atol=1e-7, rtol=0)


def test_values_above_white_are_refused_with_the_key(tmp_path: Path) -> None:
    root = tree(tmp_path, TWELVE)
    write(root / "images/val/0.tif", np.full((7, 9), 5000, np.uint16))
    with pytest.raises(UserError, match=r"0\.tif: holds integers up to 5000, above 4095.*dataset\.max_value=16383"):
        Folder(str(root), "valid")[0]
    with pytest.raises(UserError, match=r"dataset\.max_value: 0"):
        Folder(str(root), max_value=0)


def test_colour_of_12_bits_is_scaled_before_imagenet_statistics(tmp_path: Path) -> None:
    colour = RANDOM.integers(0, 4096, (7, 9, 3), dtype=np.uint16)
    for split in ("train", "val"):
        (tmp_path / f"images/{split}").mkdir(parents=True)
        np.save(tmp_path / f"images/{split}/a.npy", colour)
    data = Folder(str(tmp_path), masks=None)
    assert data[0].image.max() > 0.9
    assert data.images_line().startswith("3 channels of 16 bits, 7x9; white is 4095")


def test_instance_folders_scale_alike(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write(tmp_path / f"images/{split}/a.tif", TWELVE)
        write(tmp_path / f"instances/{split}/a.png", mask())
    data = InstanceFolder(str(tmp_path), "valid")
    torch.testing.assert_close(data[0].image[0].double(), torch.from_numpy(TWELVE / 4095), atol=1e-7, rtol=0)


def test_the_line_of_images_is_that_of_the_split(tmp_path: Path) -> None:
    """Training images are colour, the validation image is grey and of another size."""
    colour = RANDOM.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    for split, image in (("train", colour), ("val", RANDOM.integers(0, 256, (5, 6), dtype=np.uint8))):
        (tmp_path / f"images/{split}").mkdir(parents=True)
        np.save(tmp_path / f"images/{split}/a.npy", image)
    assert Folder(str(tmp_path), masks=None).images_line() == "3 channels of 8 bits, 7x9"
    found = Folder(str(tmp_path), "valid", masks=None).images_line()
    assert found == "3 channels of 8 bits, 5x6; 1 of 1 are converted from 1 channel"


def test_bytes_alone_have_no_measured_white(tmp_path: Path) -> None:
    data = Folder(str(tree(tmp_path, BYTES)))
    assert data.info.max_value is None
    assert data.images_line() == "1 channel of 8 bits, 7x9"


@pytest.mark.parametrize("values", [BYTES, TWELVE, (TWELVE / 4095).astype(np.float32)])
def test_images_with_0_as_white_are_inverted_at_every_depth(tmp_path: Path, values: np.ndarray) -> None:
    write(tmp_path / "black.tif", values)
    write(tmp_path / "white.tif", values, tiffinfo={262: 0})
    assert read_header(tmp_path / "white.tif").depth == read_header(tmp_path / "black.tif").depth
    black, white = (read_image(tmp_path / f"{name}.tif", max_value=4095) for name in ("black", "white"))
    top = 255 if values is BYTES else 1
    raw = torch.from_numpy(np.asarray(_raw(tmp_path / "white.tif"), np.float64))[None]
    scale = {"u1": 255, "u2": 4095, "f4": 1}[values.dtype.str[1:]]
    torch.testing.assert_close(white.double() / top, 1 - raw / scale, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        black.double() / top, torch.from_numpy(values.astype(np.float64) / scale)[None], atol=1e-6, rtol=0
    )


def _raw(path: Path) -> np.ndarray:
    """The stored values of an uncompressed TIFF, by its tags alone."""
    with Image.open(path) as image:
        assert image.tag_v2[262] == 0
        (start,), bits, form = image.tag_v2[273], image.tag_v2[258][0], image.tag_v2.get(339, (1,))[0]
        size = image.size[::-1]
    kind = {1: "u", 2: "i", 3: "f"}[form]
    return np.frombuffer(path.read_bytes(), f"<{kind}{bits // 8}", size[0] * size[1], start).reshape(size)


def test_masks_with_0_as_white_are_refused(tmp_path: Path) -> None:
    for values in (BYTES, TWELVE):
        write(tmp_path / "a.tif", values, tiffinfo={262: 0})
        with pytest.raises(UserError, match=r"a\.tif: .*MinIsWhite.*save it as PNG"):
            read_mask(tmp_path / "a.tif")


def test_masks_of_several_pages_or_frames_are_refused(tmp_path: Path) -> None:
    first, *others = [Image.fromarray(np.roll(BYTES % 3, index)) for index in range(4)]
    first.save(tmp_path / "a.tif", save_all=True, append_images=others)
    first.save(tmp_path / "a.gif", save_all=True, append_images=others)
    with pytest.raises(UserError, match=r"a\.tif: the mask has 4 pages.*one mask per image.*id of each pixel's class"):
        read_mask(tmp_path / "a.tif")
    with pytest.raises(UserError, match=r"a\.gif: the mask has several frames"):
        read_mask(tmp_path / "a.gif")


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("marked", [True, False])
def test_previews_in_a_tiff_are_left_out(tmp_path: Path, order: int, marked: bool) -> None:
    large, small = RANDOM.integers(0, 256, (2, 24, 36), dtype=np.uint8), BYTES
    small = np.resize(BYTES, (20, 30)) if marked else BYTES
    for name, values in (("image", large[0]), ("mask", large[1] % 3)):
        (first, one), (second, two) = [(values, {254: 0}), (small, {254: int(marked)})][::order]
        more = Image.fromarray(second)
        more.encoderinfo = {"tiffinfo": two}
        Image.fromarray(first).save(tmp_path / f"{name}.tif", save_all=True, append_images=[more], tiffinfo=one)
    assert torch.equal(read_image(tmp_path / "image.tif")[0], torch.from_numpy(large[0]))
    assert (read_mask(tmp_path / "mask.tif") == large[1] % 3).all()
    header = read_header(tmp_path / "image.tif")
    assert (header.channels, header.size, header.previews) == (1, (24, 36), 1)


def test_a_fourth_band_that_is_left_out_is_named(tmp_path: Path) -> None:
    bands = RANDOM.integers(0, 256, (7, 9, 4), dtype=np.uint8)
    root = tree(tmp_path, bands, bands[..., :3])
    line = Folder(str(root)).images_line()
    assert line == "3 channels of 8 bits, 7x9; band 4 is left out in 1 of 2 (dataset.channels=4 keeps it)"
    write(root / "images/train/1.tif", bands)
    write(root / "images/val/1.tif", bands)
    data = Folder(str(root), channels=4)
    assert data.images_line() == "4 channels of 8 bits, 7x9"
    assert torch.equal(data[0].image.permute(1, 2, 0), torch.from_numpy(bands))


def test_mixed_depths_and_sizes_are_described(tmp_path: Path) -> None:
    line = Folder(str(tree(tmp_path, BYTES, TWELVE, np.resize(BYTES, (5, 30))))).images_line()
    assert line == "1 channel of 16 bits and 8 bits, 5x30 to 7x9; white is 4095 (dataset.max_value sets it)"


def test_the_line_names_a_white_that_no_image_has(tmp_path: Path) -> None:
    root = str(tree(tmp_path, BYTES))
    told = "1 channel of 8 bits, 7x9; dataset.max_value=1000 changes none: no image has integers above 8 bits"
    assert Folder(root, max_value=1000).images_line() == told
    assert Folder(root).images_line() == "1 channel of 8 bits, 7x9"


def palette_tree(root: Path, colours: list[list[int]], ids: np.ndarray) -> Path:
    tree(root, BYTES)
    classes = [{"name": "sky", "color": [0, 0, 9]}, {"name": "sea", "color": [9, 0, 0]}, {"name": "fog"}]
    (root / "classes.json").write_text(json.dumps({"classes": classes}))
    image = Image.fromarray(ids, "P")
    image.putpalette([value for colour in colours for value in colour])
    image.save(root / "masks/train/0.png")
    return root


def test_a_palette_that_contradicts_the_classes_is_refused(tmp_path: Path) -> None:
    root = palette_tree(tmp_path, [[9, 0, 0], [0, 0, 9]], BYTES % 2)
    with pytest.raises(UserError, match=r"0\.png: the id 0 is 'sky', but .*\(9, 0, 0\) of 'sea'.*as RGB.*as grey"):
        Folder(str(root))[0]


@pytest.mark.parametrize(
    "colours", [[[0, 0, 9], [9, 0, 0], [5, 5, 5]], [[0, 0, 0], [1, 1, 1], [2, 2, 2]], [[7, 8, 9]] * 3]
)
def test_a_palette_that_agrees_or_knows_no_class_leaves_the_ids(tmp_path: Path, colours: list[list[int]]) -> None:
    ids = mask()
    assert torch.equal(Folder(str(palette_tree(tmp_path, colours, ids)))[0].truth.semantic, torch.from_numpy(ids))


@pytest.mark.parametrize("known", [True, False])
def test_palettes_that_number_their_colours_anew_in_each_mask_are_refused(tmp_path: Path, known: bool) -> None:
    root, ids = tree(tmp_path, BYTES, BYTES), mask()
    swapped = np.array([0, 2, 1], np.uint8)[ids]
    red, green = [9, 0, 0], [0, 9, 0]
    for number, (values, colours) in enumerate(((ids, [red, green]), (swapped, [green, red]))):
        image = Image.fromarray(values, "P")
        image.putpalette(sum(colours, [0, 0, 0]))
        image.save(root / f"masks/train/{number}.png")

    def read() -> None:
        data = Folder(str(root), classes=3 if known else None)
        for index in range(2):
            data[index]

    told = r"1\.png: its palette gives the colour \(0, 9, 0\) to the id 1, that of .*0\.png to 2"
    with pytest.raises(UserError, match=told):
        read()


def coco_file(root: Path, name: str, **category: object) -> None:
    images = [{"id": i, "file_name": f"{i}.png", "height": 7, "width": 9} for i in (0, 1)]
    listed = [{"id": 1, "name": "cat", "isthing": 1, **category}]
    path = root / f"annotations/{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": listed}))


def official_trees(root: Path, values: np.ndarray) -> list[Dataset]:
    """Draw the trees of COCO, Cityscapes and MPII with one image twice."""
    for i in (0, 1):
        write(root / f"train2017/{i}.png", values)
        write(root / f"leftImg8bit/train/ulm/{i}_leftImg8bit.png", values)
        for kind in ("labelIds", "instanceIds"):
            write(root / f"gtFine/train/ulm/{i}_gtFine_{kind}.png", mask())
    for kind in ("instances", "panoptic", "person_keypoints"):
        coco_file(root, f"{kind}_train2017", keypoints=["nose", "tail"])
    (root / "annotations/panoptic_train2017").mkdir()
    person = {"joints": [[3, 3]] * 16, "joints_vis": [1] * 16, "scale": 0.02, "center": [4, 4]}
    (root / "annot").mkdir()
    (root / "annot/train.json").write_text(json.dumps([{"image": f"{i}.png", **person} for i in (0, 1)]))
    datasets = [kind(str(root)) for kind in (CocoInstances, CocoKeypoints, Cityscapes, CityscapesPanoptic)]
    return [*datasets, Mpii(str(root), images="train2017")]


@pytest.mark.filterwarnings("ignore::densepred.errors.Notice")
@pytest.mark.parametrize(("top", "white"), [(4000, 4095), (60000, 65535), (255, None)])
def test_every_dataset_measures_white(tmp_path: Path, top: int, white: int | None) -> None:
    values = RANDOM.integers(0, top, (7, 9), dtype=np.uint16)
    values.flat[0] = top
    values = values.astype(np.uint8) if white is None else values
    expected = torch.from_numpy(values.astype(np.float64) / (white or 1)).expand(3, -1, -1)
    for data in official_trees(tmp_path, values):
        assert data.info.max_value == white
        torch.testing.assert_close(data[1].image.double(), expected, atol=1e-7, rtol=0)
        assert white is None or f"white is {white} (dataset.max_value sets it)" in data.images_line()
    given = CocoInstances(str(tmp_path), max_value=70000)
    assert given.info.max_value == 70000
    with pytest.raises(UserError, match=r"dataset\.max_value: 0"):
        CocoInstances(str(tmp_path), max_value=0)
    assert CocoPanoptic(str(tmp_path)).info.max_value == white


def test_former_runs_keep_the_white_of_the_type() -> None:
    coco, folder = {"max_value": None}, {"max_value": None, "masks": "masks"}
    assert read_as_trained(coco, {"max_value": 4095})["max_value"] == 4095
    assert read_as_trained(coco, {"max_value": None})["max_value"] == 65535
    assert read_as_trained(coco, {})["max_value"] == 65535
    assert read_as_trained(folder, {"max_value": None})["max_value"] is None
    assert read_as_trained({"max_value": 9}, {"max_value": 4095})["max_value"] == 9
