from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from densepred.dataset.folder import Folder
from densepred.dataset.instance_folder import InstanceFolder
from densepred.errors import Notice
from densepred.types import UserError
from tests.dataset.files import RANDOM, mask, picture, write

Root = Callable[..., Path]


def test_fractions_divide_one_folder_by_seed_and_keep_groups(tmp_path: Path) -> None:
    for scene in range(10):
        for tile in range(4):
            write(tmp_path / f"images/s{scene}_{tile}.png", picture())
            write(tmp_path / f"masks/s{scene}_{tile}.png", mask())
    splits = {"train": 0.6, "valid": 0.2, "test": 0.2}

    def ids(split: str, **more: object) -> list[str]:
        return [pair.id for pair in Folder(str(tmp_path), split=split, splits=splits, **more).pairs]  # type: ignore[arg-type]

    parts = [ids(split) for split in splits]
    assert sum(map(len, parts)) == 40
    assert len(set().union(*parts)) == 40  # no image stands in two
    assert ids("train") == parts[0] != ids("train", seed=1)
    grouped = [{name.split("_")[0] for name in ids(split, group=r"(s\d+)_")} for split in splits]
    assert sum(map(len, grouped)) == 10
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
    divided = Folder(str(root), split="train", list="all.csv", splits={"train": 0.75, "valid": 0.25}, seed=2)
    assert len(divided) == 3
    (root / "bad.csv").write_text("a,b\n1,2")
    with pytest.raises(UserError, match=r"bad\.csv: its first line has .*; name the columns image,mask there"):
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
        with pytest.raises(UserError, match=r"a\.png.*fits both orientations.*dataset\.exif=upright"):
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


@pytest.mark.parametrize("folder", ["masks", "instances"])
def test_files_without_a_partner_are_left_out_on_request(folder: str, tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / f"images/train/{name}.png", picture())
        write(tmp_path / f"{folder}/train/{name}.png", mask())
    write(tmp_path / "images/train/d.png", picture())
    write(tmp_path / f"{folder}/train/e.png", mask())
    make = Folder if folder == "masks" else InstanceFolder
    with pytest.raises(UserError, match=r"1 mask without an image \('e'\); .* dataset\.unpaired=skip"):
        make(str(tmp_path))
    said = r"1 image without a mask \('d'\) and 1 mask without an image \('e'\) left out, 3 pairs kept"
    with pytest.warns(Notice, match=said):
        data = make(str(tmp_path), unpaired="skip")
    assert [pair.id for pair in data.pairs] == ["a", "b", "c"]
    with pytest.raises(UserError, match=r"dataset\.unpaired: skipp; .*refuse, skip"):
        make(str(tmp_path), unpaired="skipp")


def test_folders_without_any_pair_are_refused_in_every_case(tmp_path: Path) -> None:
    write(tmp_path / "images/train/a.png", picture())
    write(tmp_path / "masks/train/b.png", mask())
    with pytest.raises(UserError, match="1 image without a mask"):
        Folder(str(tmp_path), unpaired="skip")


def test_a_mask_of_void_alone_tells_nothing_of_the_classes(tmp_path: Path) -> None:
    for name, label in (("a", 255), ("b", 0), ("c", 1)):
        write(tmp_path / f"images/{name}.png", picture())
        write(tmp_path / f"masks/{name}.png", np.full((7, 9), label, np.uint8))
    words: dict[str, Any] = {"splits": {"train": 1.0}, "ignore_index": 255}
    data = Folder(str(tmp_path), **words)
    assert data.info.classes == ("class_0", "class_1")
    assert data[0].truth.need("semantic").unique().tolist() == [255]
    for name in "bc":
        write(tmp_path / f"masks/{name}.png", np.full((7, 9), 255, np.uint8))
    with pytest.raises(UserError, match=r"a\.png: it and the other masks hold void alone; correct"):
        Folder(str(tmp_path), **words)


@pytest.mark.parametrize("name", ["all.csv", "all.txt"])
@pytest.mark.parametrize("folds", [None, 2])
def test_the_remedy_for_a_list_without_splits_works(tmp_path: Path, name: str, folds: int | None) -> None:
    for stem in "abcdefghij":
        write(tmp_path / f"images/{stem}.png", picture())
        write(tmp_path / f"masks/{stem}.png", mask())
    rows = [f"images/{x}.png,masks/{x}.png" for x in "abcdefghij"]
    (tmp_path / name).write_text("\n".join(["image,mask", *rows] if name == "all.csv" else "abcdefghij"))
    words: dict[str, Any] = {"list": name, "images": "images", "masks": "masks", "folds": folds}
    words["fold"] = None if folds is None else 1
    with pytest.raises(UserError) as refused:
        Folder(str(tmp_path), **words)
    typed = re.search(r"type 'dataset\.splits=(\{.*?\})' to divide", str(refused.value))
    assert typed is not None
    splits = yaml.safe_load(typed[1])
    assert (splits == {"train": 1.0}) == (folds is not None)
    counts = [len(Folder(str(tmp_path), split=split, splits=splits, **words)) for split in ("train", "valid")]
    assert sum(counts) == 10
    assert min(counts) > 0
