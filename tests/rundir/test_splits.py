from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from densepred.dataset.folder import Folder
from densepred.rundir import splits
from densepred.types import UserError
from tests.dataset import folder_tree
from tests.dataset.files import picture, write


def recorded(root: Path) -> splits.Record:
    found = splits.record(str(root), {split: Folder(str(root), split=split) for split in ("train", "valid")})
    assert found is not None
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for split in ("train", "val"):
        folder_tree.tree(tmp_path / "data", split)
    return tmp_path / "data"


def test_a_record_is_read_as_it_was_written(tree: Path, tmp_path: Path) -> None:
    assert splits.read(tmp_path) is None
    found = recorded(tree)
    splits.write(tmp_path, found)
    assert splits.read(tmp_path) == found
    names = ["images/val/a.png", "images/val/b.png"]
    assert found.splits["valid"].names == names
    assert found.splits["valid"].digest == hashlib.sha256("\n".join(names).encode()).hexdigest()
    assert splits.changes(found, found) == []
    assert splits.files(tmp_path, "val") == (tree, names)


def test_large_splits_leave_a_digest_alone(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "MOST", 1)
    splits.write(tmp_path, recorded(tree))
    found = splits.read(tmp_path)
    assert found is not None
    assert found.splits["train"].names is None
    assert found.splits["train"].digest == recorded(tree).splits["train"].digest
    with pytest.raises(UserError, match="lists no names"):
        splits.files(tmp_path, "train")


def test_changes_are_counted_and_images_that_were_trained_on_are_named(tree: Path) -> None:
    before = recorded(tree)
    write(tree / "images/val/c.png", picture(folder_tree.SIZE))
    write(tree / "masks/val/c.png", folder_tree.labels(2))
    assert splits.changes(before, recorded(tree)) == ["the valid split had 2 images and has 3 (1 new, 0 gone)"]
    moved = splits.Record(before.root, {"valid": before.splits["train"]})
    assert splits.trained_on(before, moved) == [
        "2 of the 2 images of valid were trained on (images/train/a.png, images/train/b.png)"
    ]


@pytest.mark.parametrize("text", ["{", "[]", '{"root": "x", "splits": {"train": 3}}'])
def test_a_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / splits.FILE).write_text(text)
    with pytest.raises(UserError, match=r"splits\.json: cannot be read"):
        splits.read(tmp_path)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/secret.png", "a/../../b.png"])
def test_a_record_leads_to_no_file_outside_its_root(tmp_path: Path, name: str) -> None:
    splits.write(tmp_path, splits.Record(str(tmp_path), {"valid": splits.Members(1, "0", [name])}))
    with pytest.raises(UserError, match="is not below"):
        splits.files(tmp_path, "valid")
