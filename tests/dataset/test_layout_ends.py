"""Words for folders of other names read every pair that there is, and tell what lacks a partner."""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from densepred.build.instantiate import build
from densepred.dataset.layout_ends import Ends, between, within
from densepred.errors import Notice, UserError
from tests.dataset.files import picture, write

Plain = Callable[..., dict[str, Any]]
NUMBERS = [f"{number:02d}" for number in range(12)]
TREES: dict[str, tuple[str, str, Sequence[str], str]] = {
    "numbers": ("img/{}.png", "masks/{}.png", ["03"], ", 1 image without a mask (03)"),
    "numbers after a word": ("img/cell_{}.png", "labels/cell_{}.png", ["00"], ", 1 image without a mask (cell_00)"),
    "an end": ("img/{}.png", "masks/{}_mask.png", ["00"], ", 1 image without a mask (00)"),
    "one folder": ("{}.png", "{}_mask.png", ["00"], ", 1 image without a mask (00)"),
    "one folder, another end": ("{}.png", "{}-ids.png", ["00"], ", 1 image without a mask (00)"),
    "channels": ("img/{}_0000.png", "masks/{}.png", ["00"], ", 1 image without a mask (00)"),
    "few masks": ("images/{}.png", "masks/{}.png", NUMBERS[3:], ", 9 images without a mask (03, 04, 05, ...)"),
    "short words": ("img/{}.png", "lbl/{}.png", [], ""),
    "x and y": ("x/{}.png", "y/{}.png", [], ""),
    "a folder above with a word of masks": ("seg_data/raw/{}.png", "seg_data/ann/{}.png", [], ""),
    "no words": ("foo/{}.png", "bar/{}.png", ["11"], " by their content, 1 image without a mask (11)"),
}


def draw(root: Path, image: str, mask: str, without: Sequence[str]) -> None:
    for number in NUMBERS:
        write(root / image.format(number), picture((16, 20)))
        if number not in without:
            write(root / mask.format(number), np.eye(16, 20, dtype=np.uint8))


@pytest.mark.parametrize("name", TREES)
def test_the_words_read_every_pair_and_tell_the_rest(name: str, tmp_path: Path, plain: Plain) -> None:
    image, mask, without, told = TREES[name]
    draw(tmp_path, image, mask, without)
    root = f"dataset.root={tmp_path}"
    with pytest.raises(UserError, match="this looks like ") as caught:
        build(plain("dataset=folder", root)["dataset"])(split="train")
    what, words = re.split(": type ", str(caught.value).rpartition("this looks like ")[2])
    assert what.endswith(told or ("masks in " + mask.rpartition("/")[0]))
    factory = build(plain(*shlex.split(words), root)["dataset"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Notice)
        pairs = [pair for split in ("train", "valid") for pair in factory(split=split).pairs]
    drawn = {(tmp_path / image.format(one), tmp_path / mask.format(one)) for one in NUMBERS if one not in without}
    assert {(pair.image, pair.mask) for pair in pairs} == drawn


def test_an_end_explains_more_than_equal_names_do() -> None:
    cells = {"cell_00", "cell_10", "cell_20"}
    assert between(cells, cells - {"cell_20"}) == Ends()
    assert between(cells, {f"{name}_mask" for name in cells}) == Ends("", "_mask")
    assert between({"a1", "b1"}, {"a2", "b2"}) == Ends("1", "2")
    assert between({"a1", "b1", "c2"}, {"a2", "b2", "c3"}) is None  # digits that only some names have
    assert between({"00", "10", "21", "31"}, {"0", "1"}) is None
    assert list(within(["a.png", "b.png", "c.png"])) == []


@pytest.mark.parametrize("option", ["folder", "instance_folder"])
def test_ids_of_many_objects_tell_masks_from_images(option: str, tmp_path: Path, plain: Plain) -> None:
    ids = np.kron(np.arange(1, 50, dtype=np.uint16).reshape(7, 7), np.ones((9, 9), np.uint16))
    for number in NUMBERS:
        write(tmp_path / f"foo/{number}.png", picture((63, 63)))
        write(tmp_path / f"bar/{number}.png", ids)
    root = f"dataset.root={tmp_path}"
    words = "dataset=instance_folder dataset.images=foo dataset.masks=bar 'dataset.splits={train: 0.8, valid: 0.2}'"
    told = f"images in foo and masks of ids of objects in bar by their content: type {words}"
    with pytest.raises(UserError, match=re.escape(told)):
        build(plain(f"dataset={option}", root)["dataset"])(split="train")


def test_two_folders_of_pictures_are_no_masks(tmp_path: Path, plain: Plain) -> None:
    for number in NUMBERS:
        for folder in ("foo", "bar"):
            write(tmp_path / folder / f"{number}.png", picture((63, 63)))
    with pytest.raises(UserError) as caught:
        build(plain("dataset=folder", f"dataset.root={tmp_path}")["dataset"])(split="train")
    assert "this looks like" not in str(caught.value)
