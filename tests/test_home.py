"""Paths as they are typed and shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from densepred.home import from_here


def test_a_path_below_the_current_folder_becomes_relative_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert from_here(tmp_path / "runs" / "a") == "runs/a"
    assert from_here(tmp_path.parent / "b") == str(tmp_path.parent / "b")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert from_here(tmp_path / "runs") == str(tmp_path / "runs")
