from __future__ import annotations

import hashlib
import re
import warnings
from functools import partial
from pathlib import Path

import pytest

from densepred.dataset.division import divide, tell_far, tell_pooled
from densepred.dataset.folder import Folder
from densepred.dataset.paths import fractions, known_splits
from densepred.dataset.yolo import Yolo
from densepred.errors import Notice
from densepred.types import UserError
from tests.dataset import files

NAMES = [f"case_{number // 3}/slice_{number}" for number in range(600)]
PARTS = {"train": 0.7, "valid": 0.2, "test": 0.1}


def slow(name: str, seed: int) -> str:
    """Draw the split of one name by exact whole numbers."""
    place = int(hashlib.sha256(f"{seed}\n{name}".encode()).hexdigest()[:16], 16)
    return "train" if place * 10 < 7 << 64 else "valid" if place * 10 < 9 << 64 else "test"


@pytest.mark.parametrize("seed", [0, 1, 77])
def test_each_name_is_drawn_by_its_own_hash(seed: int) -> None:
    found = divide(NAMES, PARTS, seed)
    assert found == [slow(name, seed) for name in NAMES]
    assert all(abs(found.count(split) - 600 * part) < 50 for split, part in PARTS.items())


def test_adding_or_removing_an_image_moves_no_other() -> None:
    before = dict(zip(NAMES, divide(NAMES, PARTS, 0), strict=True))
    fewer = [*NAMES[:17], *NAMES[18:400], "new_a", *NAMES[400:], "new_b"]
    after = dict(zip(fewer, divide(fewer, PARTS, 0), strict=True))
    assert {name: after[name] for name in after.keys() & before.keys()} == {
        name: before[name] for name in after.keys() & before.keys()
    }


def test_the_order_in_which_fractions_are_typed_does_not_matter() -> None:
    assert divide(NAMES, dict(reversed(PARTS.items())), 3) == divide(NAMES, PARTS, 3)


def test_groups_stay_together_and_keep_their_split() -> None:
    found = divide(NAMES, PARTS, 0, r"^(case_\d+)/")
    of_group: dict[str, set[str | None]] = {}
    for name, split in zip(NAMES, found, strict=True):
        of_group.setdefault(name.split("/")[0], set()).add(split)
    assert all(len(splits) == 1 for splits in of_group.values())
    assert divide(NAMES[30:], PARTS, 0, r"^(case_\d+)/") == found[30:]


def test_an_empty_split_is_refused_with_a_seed_that_fills_it() -> None:
    few = ["a", "b", "c"]
    seeds = range(20)
    for seed in seeds:
        try:
            divide(few, {"train": 0.8, "valid": 0.2}, seed)
        except UserError as error:
            better = int(str(error).rsplit("dataset.seed=", 1)[1])
            assert {*divide(few, {"train": 0.8, "valid": 0.2}, better)} == {"train", "valid"}
            return
    raise AssertionError("every seed filled both")


def test_a_split_far_from_its_fraction_has_a_line_with_a_nearer_seed() -> None:
    few = [f"street {number:02d}" for number in range(1, 31)]

    def said(seed: int) -> tuple[int, list[str]]:
        found: list[str | None] = [slow(name, seed) for name in few]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            tell_far(few, found, PARTS)
        return found.count("test"), [str(one.message) for one in caught]

    heard = [said(seed) for seed in range(20)]
    assert sum(not texts for _, texts in heard) > 5
    (text,) = next(texts for held, texts in heard if held == 1 and "test holds" in texts[0])
    found = re.fullmatch(
        r"dataset\.splits: test holds 1 of 30 images, where 0\.1 asks for 3; dataset\.seed=(\d+) comes nearer", text
    )
    assert found is not None
    held, texts = said(int(found[1]))
    assert abs(held - 3) <= 1
    assert texts == []


def test_fractions_below_one_leave_images_out() -> None:
    found = divide(NAMES, {"train": 0.5, "valid": 0.1}, 0)
    assert abs(found.count(None) - 240) < 50


def test_other_words_for_splits_are_understood() -> None:
    defaults = {"train": "train", "valid": "val", "test": "test"}
    typed = {**defaults, "val": 0.2, "train": 0.8}
    assert known_splits(typed, defaults) == {
        "train": 0.8,
        "valid": 0.2,
        "test": "test",
    }
    assert known_splits({"training": "a", "validation": "b"}, defaults) == {"train": "a", "valid": "b"}
    with pytest.raises(UserError, match=r"dataset\.splits: val and valid are the same split"):
        known_splits({"valid": "b", "val": "c"}, defaults)


def test_the_default_part_of_test_gives_way_to_fractions_that_are_typed() -> None:
    defaults = {"train": 0.8, "valid": 0.1, "test": 0.1}
    assert known_splits(None, defaults) == defaults
    assert known_splits({**defaults, "train": 0.5}, defaults) == {"train": 0.5, "valid": 0.1, "test": 0.1}
    with pytest.warns(Notice, match=r"dataset\.splits: test=0\.1 of the option is left out, as the others add up to 1"):
        assert known_splits({**defaults, "train": 0.75, "valid": 0.25}, defaults) == {"train": 0.75, "valid": 0.25}
    typed = {"train": 0.8, "valid": 0.2, "test": 0.2}  # not the default: refused later
    assert known_splits(typed, defaults) == typed


def test_years_are_names_and_parts_of_a_hundred_are_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fractions({"train": 2018, "valid": 2019}, "train") == {}
    with pytest.raises(UserError, match=r"give fractions, such as \{train: 0\.8"):
        fractions({"train": 80, "valid": 20}, "train")
    with pytest.raises(UserError, match=r"fractions \(train: 0\.8\), of which valid has none; .* valid: 0\.1$"):
        fractions({"train": 0.8, "valid": "val"}, "val")


def test_a_folder_called_1_is_no_fraction() -> None:
    with pytest.raises(UserError, match=r'1 is a fraction, beside names.*; write a name in quotes \("1"\), or 1\.0'):
        fractions({"train": 1, "valid": 2}, "train")
    assert fractions({"train": "1", "valid": "2"}, "train") == {}
    assert fractions({"train": 1}, "train") == {"train": 1.0}


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["train2017/a", "train2017/b", "val2017/c"], r"train2017 \(2\), val2017 \(1\)"),
        (["images/Test/a", "images/training/sub/b", "c"], r"Test \(1\), training \(1\)"),
        (["val/a", "validation/b", "scene/train"], None),
        (["train_a", "test_b", "patient/c"], None),
    ],
)
def test_fractions_tell_of_folders_called_as_splits(names: list[str], told: str | None) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tell_pooled(names)
    assert [bool(re.search(told or "", str(one.message))) for one in caught] == [True] * (told is not None)


def test_every_kind_of_dataset_tells_of_such_folders(tmp_path: Path) -> None:
    halves = {"train": 0.5, "valid": 0.5}
    for split in ("train", "test"):
        for number in range(4):
            files.write(tmp_path / f"images/{split}/{number}.png", files.picture())
            files.write(tmp_path / f"masks/{split}/{number}.png", files.mask())
            label = tmp_path / f"labels/{split}/{number}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text("0 0.5 0.5 0.4 0.4\n")
    (tmp_path / "data.yaml").write_text("names: [a]\ntrain: images/train\ntest: images/test\n")
    for kind in (partial(Folder, classes=3), Yolo):
        with pytest.warns(Notice, match=r"folders called as splits together: test \(4\), train \(4\)"):
            kind(str(tmp_path), splits=halves)
