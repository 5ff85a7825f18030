from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from densepred.dataset.folder import Folder
from densepred.errors import Notice
from densepred.types import VOID, UserError
from tests.dataset.files import mask, picture, stored, write

Root = Callable[..., Path]


def legend(root: Path, **extra: object) -> None:
    classes = [
        {"id": i, "name": n, "color": c} for i, (n, c) in enumerate({"sky": [0, 0, 9], "sea": [9, 0, 0]}.items())
    ]
    classes.append({"id": 2, "name": "fog", "color": [1, 2, 3]})
    (root / "classes.json").write_text(json.dumps({"classes": classes, **extra}))


def test_pairs_are_found_by_name_in_folders_of_any_depth(root: Path) -> None:
    data = Folder(str(root), split="valid")
    assert [data[i].frame.id for i in range(len(data))] == ["a", "b/c"]
    sample = data[1]
    assert torch.equal(
        sample.image.permute(1, 2, 0), torch.from_numpy(np.array(Image.open(root / "images/val/b/c.png")))
    )
    assert torch.equal(sample.truth.semantic, torch.from_numpy(np.array(Image.open(root / "masks/val/b/c.png"))))
    assert data.info.classes == ("class_0", "class_1", "class_2")
    assert data.info.palette == ((0, 0, 0), (230, 159, 0), (86, 180, 233))
    assert data.info == Folder(str(root), split="train").info


def test_names_colours_and_the_ignored_class_come_from_classes_json(root: Path) -> None:
    legend(root, ignore_index=1)
    data = Folder(str(root), split="train")
    assert data.info.classes == ("sky", "fog")
    assert data.info.palette == ((0, 0, 9), (1, 2, 3))
    raw = stored(root / "masks/train/a.png")
    expected = torch.tensor([0, VOID, 1], dtype=torch.uint8)[raw.long()]
    assert torch.equal(data[0].truth.semantic, expected)


def test_a_class_may_be_marked_as_ignored(root: Path) -> None:
    classes = [{"name": "sky"}, {"name": "sea", "ignore": True}, "fog"]
    (root / "classes.json").write_text(json.dumps({"classes": classes}))
    assert Folder(str(root)).info.classes == ("sky", "fog")


def test_colour_masks_are_read_by_the_colours_of_classes_json(root: Path) -> None:
    legend(root)
    colours = np.array([[0, 0, 9], [9, 0, 0], [1, 2, 3]], np.uint8)
    ids = mask()
    write(root / "masks/train/a.png", colours[ids])
    assert torch.equal(Folder(str(root))[0].truth.semantic, torch.from_numpy(ids))
    stray = colours[ids]
    stray[3, 4] = 7, 8, 9
    write(root / "masks/train/a.png", stray)
    with pytest.raises(UserError, match=r"a\.png.*\(7, 8, 9\) at x=4 y=3 \(1 pixels\)"):
        Folder(str(root))[0]


def test_ids_saved_as_grey_rgb_are_ids(root: Path) -> None:
    ids = mask()
    write(root / "masks/train/a.png", np.repeat(ids[..., None], 3, 2))
    assert torch.equal(Folder(str(root))[0].truth.semantic, torch.from_numpy(ids))


def test_16_bit_ids_can_be_mapped(root: Path) -> None:
    ids = mask()
    for name in ("a", "b/c"):
        write(root / f"masks/train/{name}.png", ids.astype(np.uint16) * 1000)
    data = Folder(str(root), label_map={0: 0, 1000: 1, 2000: 255})
    expected = torch.from_numpy(np.where(ids == 2, VOID, ids))
    assert data.info.classes == ("class_0", "class_1")
    assert torch.equal(data[0].truth.semantic, expected)


@pytest.mark.parametrize("counted", [False, True])
def test_black_and_white_masks_name_the_setting_that_mends_them(root: Path, counted: bool) -> None:
    for name in ("a", "b/c"):
        write(root / f"masks/train/{name}.png", mask(classes=2) * 255)
    with pytest.raises(UserError, match=r"png.*dataset\.label_map=\{255: 1\}"):
        Folder(str(root), classes=2 if counted else None)[0]
    data = Folder(str(root), label_map={255: 1})
    assert data.info.classes == ("class_0", "class_1")
    assert data[0].truth.semantic.unique().tolist() == [0, 1]  # type: ignore[union-attr]


def test_255_without_ignore_index_names_the_setting(root: Path) -> None:
    values = mask()
    values[0, 0] = 255
    write(root / "masks/train/a.png", values)
    for classes in (None, 3):
        with pytest.raises(UserError, match=r"a\.png.*255.*dataset\.ignore_index=255"):
            Folder(str(root), classes=classes)[0]
        assert Folder(str(root), classes=classes, ignore_index=255)[0].truth.semantic[0, 0] == VOID  # type: ignore[index]


@pytest.mark.parametrize(("value", "kind"), [(7, np.uint8), (-3, np.int32), (70000, np.int32), (300, np.uint16)])
def test_an_id_of_no_class_is_named(root: Path, value: int, kind: type) -> None:
    values = mask().astype(kind)
    values[2, 2] = value
    (root / "masks/train/a.png").unlink()
    write(root / "masks/train/a.tif", values)
    with pytest.raises(UserError, match=rf"a\.tif.*id {value}.*3 classes"):
        Folder(str(root), classes=3)[0]


def test_an_ignored_id_must_not_be_a_class(root: Path) -> None:
    with pytest.raises(UserError, match=r"dataset\.ignore_index: 1 is also class 'cell'"):
        Folder(str(root), classes=["wall", "cell", "gap"], ignore_index=1)


def test_gaps_between_ids_are_named(root: Path) -> None:
    write(root / "masks/train/a.png", mask(classes=2) * 128)
    with pytest.raises(UserError, match=r"with gaps between them: 0, 1, 2, 128; .*label_map={128: 3}"):
        Folder(str(root))


@pytest.mark.parametrize(("size", "hint"), [((6, 9), "make them equal"), ((9, 7), "turned by 90 degrees")])
def test_sizes_that_differ_are_both_named(root: Path, size: tuple[int, int], hint: str) -> None:
    write(root / "masks/train/a.png", mask(size))
    with pytest.raises(UserError, match=rf"7x9.*{size[0]}x{size[1]}.*{hint}"):
        Folder(str(root))[0]


def test_partners_that_are_missing_are_counted_and_named(root: Path) -> None:
    (root / "masks/train/a.png").unlink()
    write(root / "masks/train/z.png", mask())
    with pytest.raises(UserError, match=r"1 image without a mask \('a'\) and 1 mask without an image \('z'\)"):
        Folder(str(root))
    (root / "masks/train/z.png").rename(root / "masks/train/A.png")
    with pytest.raises(UserError, match="upper and lower case"):
        Folder(str(root))


def test_two_images_of_one_name_are_named(root: Path) -> None:
    write(root / "images/train/a.jpg", picture())
    with pytest.raises(UserError, match="same name"):
        Folder(str(root))


def test_composed_and_decomposed_unicode_names_are_one(root: Path) -> None:
    write(root / "images/train/\u00fc.png", picture())
    write(root / "masks/train/u\u0308.png", mask())
    assert "\u00fc" in [pair.id for pair in Folder(str(root)).pairs]


@pytest.mark.parametrize(
    "name", ["with space", "q'u\"ote", "line\nbreak", "-dash", "x" * 240, "100%", "a=b", "a,b", "{x}"]
)
def test_names_may_be_odd(root: Path, name: str) -> None:
    write(root / f"images/train/{name}.png", picture())
    write(root / f"masks/train/{name}.png", mask())
    data = Folder(str(root))
    index = [pair.id for pair in data.pairs].index(name)
    assert data[index].frame.id == name


def test_an_empty_or_missing_folder_is_named(root: Path) -> None:
    with pytest.raises(UserError, match=r"images/test: is no folder"):
        Folder(str(root), split="test")
    (root / "images/test").mkdir()
    (root / "masks/test").mkdir()
    with pytest.raises(UserError, match=r"images/test: holds no images"):
        Folder(str(root), split="test")
    with pytest.raises(UserError, match=r"dataset\.root: nowhere is no folder"):
        Folder("nowhere")
    with pytest.raises(UserError, match=r"dataset\.split: 'dev'"):
        Folder(str(root), split="dev")


def numbered(root: Path, *highest: int) -> Folder:
    for name, top in enumerate(highest):
        write(root / f"images/train/{name}.png", picture())
        write(root / f"masks/train/{name}.png", np.resize(np.arange(top + 1, dtype=np.uint8), (7, 9)))
    return Folder(str(root))


def test_masks_that_seem_to_number_instances_are_questioned(tmp_path: Path) -> None:
    with pytest.warns(Notice, match=r"highest one, which is 3 to 9, .* read as 10 classes.*dataset=instance_folder"):
        numbered(tmp_path / "instances", 3, 9, 5, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        numbered(tmp_path / "few", 1, 2, 3)
        numbered(tmp_path / "equal", 9, 9, 8)
