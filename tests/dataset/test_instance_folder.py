from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from densepred.dataset.id_map import COUNTED, distinct
from densepred.dataset.instance_folder import InstanceFolder
from densepred.dataset.mask import read_mask
from densepred.errors import Notice
from densepred.types import VOID, Annotation, UserError
from tests.dataset.files import picture, write

IDS = np.zeros((7, 9), np.int64)
IDS[1:3, 1:4] = 700  # ids are neither consecutive nor small
IDS[4, 2:9] = 3
IDS[0, 8] = 3  # one id in two pieces is one instance
IDS[6, 0] = 41


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for split in ("train", "val"):
        for name in ("a", "b/c"):
            write(tmp_path / f"images/{split}/{name}.png", picture())
            write(tmp_path / f"instances/{split}/{name}.png", IDS.astype(np.uint16))
    return tmp_path


def truth(root: Path, ids: np.ndarray | None = None, **options: Any) -> Annotation:
    """Return the annotation of the first image, after its map is replaced by `ids`."""
    if ids is not None:
        wide = ids.dtype in (np.int32, np.float32)  # a PNG does not hold these
        (root / "instances/train/a.png").unlink()
        write(root / f"instances/train/a.{'tif' if wide else 'png'}", ids)
    return InstanceFolder(str(root), **options)[0].truth


def test_void_is_an_ignore_region(root: Path) -> None:
    found = truth(root, IDS.astype(np.uint16), ignore_index=41)
    assert found.ignore is not None
    assert found.ignore.tolist() == (IDS == 41).tolist()
    assert "ignore" in InstanceFolder(str(root)).info.provides


def as_lists(found: Annotation) -> dict[str, list[Any]]:
    fields = ("instances", "categories", "boxes", "areas", "crowd")
    return {name: getattr(found, name).tolist() for name in fields}


def test_ids_become_instances_in_their_order(root: Path) -> None:
    found = truth(root)
    assert found.size == (7, 9)
    assert found.semantic is not None
    assert found.semantic.dtype == torch.uint8
    assert found.semantic.tolist() == (IDS > 0).astype(int).tolist()
    assert found.instances is not None
    assert found.instances.dtype == torch.int32
    assert as_lists(found) == {
        "instances": ((IDS == 3) + 2 * (IDS == 41) + 3 * (IDS == 700)).tolist(),
        "categories": [1, 1, 1],
        "boxes": [[1.5, -0.5, 8.5, 4.5], [-0.5, 5.5, 0.5, 6.5], [0.5, 0.5, 3.5, 2.5]],
        "areas": [8, 1, 6],
        "crowd": [False, False, False],
    }


def test_classes_and_what_they_provide(root: Path) -> None:
    info = InstanceFolder(str(root), classes=["ground", "cell"]).info
    assert info.classes == ("ground", "cell")
    assert info.things == (1,)
    assert {"instances", "categories", "boxes", "areas", "crowd"} <= set(info.provides)
    data = InstanceFolder(str(root), masks=None)
    assert data.info.provides == ()
    assert data[0].truth.instances is None


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, "tiff", "npy", "palette", "float"])
def test_ids_of_every_width_are_read(kind: Any, root: Path) -> None:
    top = 255 if kind in (np.uint8, "palette") else 65535
    ids = np.where(IDS == 700, top, IDS)
    file = root / "instances/train/a.png"
    if kind == "palette":
        image = Image.fromarray(ids.astype(np.uint8), "P")
        image.putpalette(list(range(256)) * 3)
        image.save(file)
    elif isinstance(kind, str):
        file.unlink()
        file = file.with_suffix(".npy" if kind == "npy" else ".tif")
        wide = np.where(IDS == 700, 2**31 - 1, IDS)
        if kind == "npy":
            np.save(file, np.where(IDS == 700, 2**40, IDS))
        else:
            Image.fromarray(wide.astype(np.int32) if kind == "tiff" else IDS.astype(np.float32)).save(file)
    else:
        write(file, ids.astype(kind))
    assert as_lists(truth(root))["areas"] == [8, 1, 6]


@pytest.mark.parametrize("top", [300, COUNTED + 5, 2**40])
def test_distinct_equals_numpy(top: int) -> None:
    ids = np.random.default_rng(0).integers(0, top, (20, 30))
    found, places = distinct(ids)
    expected, inverse = np.unique(ids, return_inverse=True)
    assert found.tolist() == expected.tolist()
    assert places.tolist() == inverse.reshape(ids.shape).tolist()


def test_a_divisor_makes_classes_and_crowds(root: Path) -> None:
    ids = np.zeros((7, 9), np.uint16)
    ids[0] = 1003  # class 1, an instance
    ids[1] = 1000  # class 1, a crowd
    ids[2] = 2001  # class 2, stuff, for any remainder
    ids[3] = 2000
    ids[4] = 60000  # void
    ids[5] = 11002  # a further number of class 1
    options: dict[str, Any] = {"classes": ["sky", "car", "road"], "things": ["car"], "divisor": 1000}
    found = truth(root, ids, **options, ignore_index=60000, label_map={11: 1})
    assert found.semantic is not None
    assert found.semantic[:, 0].tolist() == [1, 1, 2, 2, VOID, 1, 0]
    assert found.instances is not None
    assert found.instances[:, 0].tolist() == [2, 1, 0, 0, 0, 3, 0]
    assert as_lists(found)["categories"] == [1, 1, 1]
    assert as_lists(found)["crowd"] == [True, False, False]


def test_void_belongs_to_no_instance(root: Path) -> None:
    found = truth(root, ignore_index=3)
    assert found.semantic is not None
    assert found.semantic[4, 2:].tolist() == [VOID] * 7
    assert as_lists(found)["areas"] == [1, 6]


@pytest.mark.parametrize("void", [None, 9])
def test_an_image_may_hold_nothing_or_void_alone(void: int | None, root: Path) -> None:
    found = truth(root, np.full((7, 9), void or 0, np.uint16), ignore_index=void)
    assert as_lists(found) | {"instances": []} == {
        n: [] for n in ("instances", "categories", "boxes", "areas", "crowd")
    }
    assert found.boxes is not None
    assert found.boxes.shape == (0, 4)
    assert found.instances is not None
    assert not found.instances.any()


def test_two_thousand_ids_need_no_loop(root: Path) -> None:
    ids = np.kron(np.random.default_rng(0).permutation(2000).reshape(40, 50) + 20000, np.ones((4, 4), int))
    write(root / "images/train/a.png", picture((160, 200)))
    found = as_lists(truth(root, ids.astype(np.uint16)))
    assert found["areas"] == [16] * 2000


def test_random_splits_and_lists_work_as_in_folder(root: Path) -> None:
    splits = {"train": 0.5, "valid": 0.5}
    places: dict[str, Any] = {"images": "images/train", "masks": "instances/train", "splits": splits}
    parts = [InstanceFolder(str(root), split, **places) for split in splits]
    assert sorted(part[0].frame.id for part in parts) == ["a", "b/c"]
    (root / "pairs.csv").write_text("image,mask,split\nimages/val/a.png,instances/train/a.png,train\n")
    assert len(InstanceFolder(str(root), list="pairs.csv")) == 1


@pytest.mark.parametrize(
    ("ids", "options", "words"),
    [
        (np.full((7, 9), -2, np.int32), {}, ["a.tif", "id -2", "correct"]),
        (np.full((7, 8), 1, np.uint8), {}, ["a.png", "7x9", "7x8", "equal"]),
        (picture(), {}, ["a.png", "colours", "16-bit"]),
        (np.full((7, 9), 0.5, np.float32), {}, ["a.tif", "fractions"]),
        (np.full((7, 9), 9001, np.uint16), {"divisor": 1000}, ["a.png", "9001", "0, 1", "label_map={9: CLASS}"]),
        (None, {"divisor": 1}, ["dataset.divisor: 1"]),
        (None, {"classes": ["a", "b", "c"]}, ["dataset.classes", "3 classes", "dataset.divisor"]),
        (None, {"classes": ["a"]}, ["dataset.classes", "different names"]),
        (None, {"classes": ["a", "a"]}, ["dataset.classes", "different names"]),
        (None, {"things": ["objct"]}, ["dataset.things", "did you mean object"]),
        (None, {"things": [0]}, ["dataset.things", "'background'", "second"]),
        (None, {"things": [7]}, ["dataset.things: 7", "0 to 1"]),
        (None, {"label_map": {3: 1}}, ["dataset.label_map", "divisor"]),
        (None, {"divisor": 9, "label_map": {3: 7}}, ["dataset.label_map: 3 -> 7", "0 to 1"]),
        (None, {"divisor": 9, "label_map": {"x": 7}}, ["dataset.label_map", "{255: 1}"]),
        (None, {"ignore_index": -1}, ["dataset.ignore_index: -1"]),
        (None, {"palette": [[0, 0, 0]]}, ["dataset.palette: 1 colour for 2"]),
        (None, {"exif": "x"}, ["dataset.exif: 'x'", "auto"]),
    ],
)
def test_mistakes_are_one_line_with_a_remedy(
    ids: np.ndarray | None, options: dict[str, Any], words: list[str], root: Path
) -> None:
    with pytest.raises(UserError) as caught:
        truth(root, ids, **options)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_masks_of_0_and_255_are_no_ids(root: Path) -> None:
    mask = ((IDS > 0) * 255).astype(np.uint8)
    write(root / "instances/train/b/c.png", mask)
    with pytest.raises(UserError, match=r"nothing but 0 and 255.*dataset=folder"):
        truth(root, mask)
    assert as_lists(truth(root, ignore_index=255))["areas"] == []
    write(root / "instances/train/b/c.png", IDS.astype(np.uint16))
    assert as_lists(truth(root))["areas"] == [15]  # if other maps hold ids, 255 may be one


def test_a_jpeg_is_refused(root: Path) -> None:
    (root / "instances/train/a.png").unlink()
    write(root / "instances/train/a.jpg", IDS.astype(np.uint8))
    with pytest.raises(UserError, match=r"a\.jpg.*JPEG.*PNG"):
        truth(root)


def test_maps_of_0_and_1_are_questioned(root: Path) -> None:
    two = np.zeros(IDS.shape, np.uint8)
    two[0, 0] = two[-1, -1] = 1
    for path in sorted((root / "instances").rglob("*.png")):
        Image.fromarray(two).save(path)
    with pytest.warns(Notice, match="nothing but 0 and 1, so every image has one instance, in up to 2 separate parts"):
        InstanceFolder(str(root))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        InstanceFolder(str(root), ignore_index=1)
        two[1, 1] = 2
        for path in sorted((root / "instances").rglob("*.png")):
            Image.fromarray(two).save(path)
        InstanceFolder(str(root))


def test_ids_in_separate_parts_are_questioned(root: Path) -> None:
    classes = np.zeros((20, 20), np.uint8)
    classes[1:4, 1:4] = classes[1:4, 12:15] = 1
    classes[8:11, 1:4] = classes[8:11, 12:15] = classes[15:18, 1:4] = 2
    for path in sorted((root / "instances").rglob("*.png")):
        Image.fromarray(classes).save(path)
    with pytest.warns(Notice, match=r"ids, \d+ of them in separate parts \(up to 3\).*dataset=folder"):
        InstanceFolder(str(root))


def test_a_map_of_true_and_false_is_one_instance(tmp_path: Path) -> None:
    write(tmp_path / "images/train/a.png", picture((8, 8)))
    (tmp_path / "instances/train").mkdir(parents=True)
    inside = np.zeros((8, 8), bool)
    inside[2:5, 3:7] = True
    np.save(tmp_path / "instances/train/a.npy", inside)
    truth = InstanceFolder(str(tmp_path))[0].truth
    assert truth.need("boxes").tolist() == [[2.5, 1.5, 6.5, 4.5]]
    assert read_mask(tmp_path / "instances/train/a.npy").tolist() == inside.astype(int).tolist()
