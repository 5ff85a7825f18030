"""The images of a prediction, a notice of those that another member was trained on, and one command per folder."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from densepred.errors import Notice, UserError
from densepred.results import inputs
from densepred.rundir import splits
from densepred.rundir.splits import Members, Record


def run(folder: Path, root: Path, train: list[str], valid: list[str]) -> str:
    """Write the record of a run's splits, the file of its weights and the images."""
    folder.mkdir()
    (folder / "best.safetensors").touch()
    found = {split: Members(len(names), split, names) for split, names in {"train": train, "valid": valid}.items()}
    splits.write(folder, Record(str(root), found))
    for name in (*train, *valid):
        (root / name).touch()
    return str(folder)


def test_images_that_another_member_was_trained_on_are_named(tmp_path: Path) -> None:
    first = run(tmp_path / "r1", tmp_path, ["c.png", "d.png"], ["a.png", "b.png"])
    second = run(tmp_path / "r2", tmp_path, ["a.png", "b.png"], ["c.png", "d.png"])
    third = run(tmp_path / "r3", tmp_path, ["c.png"], ["a.png"])
    settings = SimpleNamespace(ckpt=[first, third], split="val", input=None, output="out")
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        assert [file.name for file in inputs.chosen(settings)[1]] == ["a.png", "b.png"]
    settings.ckpt = [first, second, third]
    with pytest.warns(Notice, match=r"split=val: 2 of the 2 images of valid were trained on \(.*\) by .*r2; pred"):
        inputs.chosen(settings)


def test_one_command_at_a_time_writes_to_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    settings: Any = SimpleNamespace(ckpt="run", split=None, overwrite=True)
    with inputs.letting_go():
        inputs.claim(tmp_path / "out", tmp_path, settings)
        with pytest.raises(UserError, match=r"^output=.*out: another densepred-predict writes there; wait for its end"):
            inputs.claim(tmp_path / "out", tmp_path, settings)
    with inputs.letting_go(), warnings.catch_warnings(action="ignore"):
        inputs.claim(tmp_path / "out", tmp_path, settings)
    assert not inputs._taken


def test_all_files_tells_if_no_file_belongs_to_another(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.png", "a_mask.png", "b.png")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert inputs.without_companions(files, tmp_path, "none", keep=True) == files
    with pytest.warns(Notice, match="left out 1 file named after images"):
        assert inputs.without_companions(files, tmp_path, "none") == files[::2]
    for alone in (files[::2], files[:1]):
        with pytest.warns(Notice, match="all_files=true: has no effect: no file is named after an image"):
            assert inputs.without_companions(alone, tmp_path, "none", keep=True) == alone
