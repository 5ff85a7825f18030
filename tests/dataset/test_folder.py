from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from densepred.dataset.folder import Folder
from densepred.types import VOID, UserError

RANDOM = np.random.default_rng(0)
Root = Callable[..., Path]


def write(path: Path, values: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)


def mask(size: tuple[int, int] = (7, 9), classes: int = 3) -> np.ndarray:
    values = RANDOM.integers(0, classes, size).astype(np.uint8)
    values.flat[:classes] = range(classes)
    return values


def picture(size: tuple[int, int] = (7, 9)) -> np.ndarray:
    return RANDOM.integers(0, 256, (*size, 3), dtype=np.uint8)


def stored(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.array(Image.open(path)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two images of three classes in each of train and val, one of them in a folder of its own."""
    for split in ("train", "val"):
        for name in ("a", "b/c"):
            write(tmp_path / f"images/{split}/{name}.png", picture())
            write(tmp_path / f"masks/{split}/{name}.png", mask())
    return tmp_path


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
    assert data.info.palette == ((0, 0, 0), (128, 0, 0), (0, 128, 0))
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
    with pytest.raises(UserError, match=r"0, 1, 2, 128, with gaps.*label_map"):
        Folder(str(root))


@pytest.mark.parametrize(("size", "hint"), [((6, 9), "make them equal"), ((9, 7), "turned by 90 degrees")])
def test_sizes_that_differ_are_both_named(root: Path, size: tuple[int, int], hint: str) -> None:
    write(root / "masks/train/a.png", mask(size))
    with pytest.raises(UserError, match=rf"7x9.*{size[0]}x{size[1]}.*{hint}"):
        Folder(str(root))[0]


def test_partners_that_are_missing_are_counted_and_named(root: Path) -> None:
    (root / "masks/train/a.png").unlink()
    write(root / "masks/train/z.png", mask())
    with pytest.raises(UserError, match=r"1 images without a mask \('a'\) and 1 masks without an image \('z'\)"):
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


def test_fractions_divide_one_folder_by_seed_and_keep_groups(tmp_path: Path) -> None:
    for scene in range(10):
        for tile in range(4):
            write(tmp_path / f"images/s{scene}_{tile}.png", picture())
            write(tmp_path / f"masks/s{scene}_{tile}.png", mask())
    splits = {"train": 0.6, "valid": 0.2, "test": 0.2}

    def ids(split: str, **more: object) -> list[str]:
        return [pair.id for pair in Folder(str(tmp_path), split=split, splits=splits, **more).pairs]  # type: ignore[arg-type]

    parts = [ids(split) for split in splits]
    assert [len(part) for part in parts] == [24, 8, 8]
    assert len(set().union(*parts)) == 40
    assert ids("train") == parts[0] != ids("train", seed=1)
    grouped = [{name.split("_")[0] for name in ids(split, group=r"(s\d+)_")} for split in splits]
    assert [len(part) for part in grouped] == [6, 2, 2]
    assert not grouped[0] & grouped[1]
    with pytest.raises(UserError, match=r"dataset\.group: 'x\(' is no regular expression"):
        ids("train", group="x(")
    with pytest.raises(UserError, match="is none"):
        Folder(str(tmp_path), split="valid", splits={"train": 0.99, "valid": 0.01})
    with pytest.raises(UserError, match="add up to at most 1"):
        Folder(str(tmp_path), splits={"train": 0.9, "valid": 0.2})


def test_a_list_names_pairs_and_splits(root: Path) -> None:
    rows = ["image,mask,split"]
    rows += [f"images/{s}/{n}.png,masks/{s}/{n}.png,{s}" for s in ("train", "val") for n in ("a", "b/c")]
    (root / "all.csv").write_text("\n".join(rows))
    data = Folder(str(root), split="valid", list="all.csv")
    assert [pair.id for pair in data.pairs] == ["images/val/a", "images/val/b/c"]
    assert data[0].image.shape == (3, 7, 9)
    (root / "val.csv").write_text("\n".join(row.rsplit(",", 1)[0] for row in (rows[0], *rows[3:])))
    assert len(Folder(str(root), split="valid", list="{split}.csv")) == 2
    with pytest.raises(UserError, match="no column `split`"):
        Folder(str(root), split="valid", list="val.csv")
    divided = Folder(str(root), split="train", list="all.csv", splits={"train": 0.75, "valid": 0.25})
    assert len(divided) == 3
    (root / "bad.csv").write_text("a,b\n1,2")
    with pytest.raises(UserError, match=r"bad\.csv: needs a first line with the columns image, mask"):
        Folder(str(root), list="bad.csv")


def test_masks_may_be_absent(root: Path) -> None:
    shutil.rmtree(root / "masks")
    data = Folder(str(root), masks=None)
    assert data.info.provides == ()
    assert data[0].truth.semantic is None
    assert data[0].truth.size == (7, 9)


def test_masks_may_have_longer_names(root: Path) -> None:
    for name in ("a", "b/c"):
        (root / f"masks/train/{name}.png").rename(root / f"masks/train/{name}_mask.png")
    assert len(Folder(str(root), mask_suffix="_mask")) == 2


@pytest.mark.parametrize("channels", [1, 4, 6])
def test_images_have_any_number_of_channels(tmp_path: Path, channels: int) -> None:
    (tmp_path / "images/train").mkdir(parents=True)
    values = RANDOM.integers(0, 256, (7, 9, channels), dtype=np.uint8)
    np.save(tmp_path / "images/train/a.npy", values)
    write(tmp_path / "masks/train/a.png", mask())
    data = Folder(str(tmp_path))
    assert data.info.channels == channels
    assert data[0].image.shape == (channels, 7, 9)
    expected = values.reshape(-1, channels) / 255
    assert data.info.mean == pytest.approx(expected.mean(0), abs=1e-4)
    assert data.info.std == pytest.approx(expected.std(0), abs=1e-4)


def test_grey_among_colour_is_read_as_colour(root: Path) -> None:
    write(root / "images/train/a.png", picture()[..., 0])
    data = Folder(str(root))
    assert data.info.channels == 3
    assert data.info.mean == (0.485, 0.456, 0.406)
    assert data[0].image.shape == (3, 7, 9)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_is_followed_where_sizes_show_it_and_refused_where_they_do_not(root: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored, turned = picture((7, 9)), orientation >= 5
    write(root / "images/train/a.png", stored, exif=exif)
    if orientation == 1:
        assert torch.equal(Folder(str(root))[0].image.permute(1, 2, 0), torch.from_numpy(stored))
        return
    if not turned:
        with pytest.raises(UserError, match=r"a\.png.*fits both ways.*dataset\.exif=upright"):
            Folder(str(root))[0]
    else:
        assert torch.equal(Folder(str(root))[0].image.permute(1, 2, 0), torch.from_numpy(stored))
        write(root / "masks/train/a.png", mask((9, 7)))
        assert Folder(str(root))[0].image.shape == (3, 9, 7)
    upright = Folder(str(root), exif="upright")[0].image
    assert upright.shape == ((3, 9, 7) if turned else (3, 7, 9))
    assert not torch.equal(upright[:, :7, :7], torch.from_numpy(stored).permute(2, 0, 1)[:, :7, :7])


def test_a_damaged_classes_json_is_named(root: Path) -> None:
    for text in (
        "{",
        "[]",
        '{"classes": [{"id": 0}]}',
        '{"classes": []}',
        '{"classes": [{"name": "a"}, {"name": "a"}]}',
    ):
        (root / "classes.json").write_text(text)
        with pytest.raises(UserError, match=r"classes\.json"):
            Folder(str(root))


def test_two_classes_of_one_colour_are_refused_where_masks_are_coloured(root: Path) -> None:
    classes = [{"name": name, "color": [1, 1, 1]} for name in ("a", "b", "c")]
    (root / "classes.json").write_text(json.dumps({"classes": classes}))
    assert torch.equal(Folder(str(root))[0].truth.semantic.unique(), torch.tensor([0, 1, 2]))  # type: ignore[union-attr]
    write(root / "masks/train/a.png", np.ones((7, 9, 3), np.uint8) * np.array([1, 1, 1], np.uint8))
    with pytest.raises(UserError, match="same colour"):
        Folder(str(root))[0]


def test_too_many_classes_are_refused(root: Path) -> None:
    with pytest.raises(UserError, match="256 classes"):
        Folder(str(root), classes=256)
