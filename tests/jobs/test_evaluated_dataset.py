"""Evaluations of one dataset compare, wherever and by whatever path its root was typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from densepred.jobs import evaluation
from densepred.reporting.runs import Evaluation


def test_a_root_is_recorded_without_links_and_from_the_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    monkeypatch.chdir(tmp_path)
    roots = ("data", "./link", str(tmp_path / "data"), f"{tmp_path}/link/")
    nodes = [evaluation.placed({"root": root, "fold": 1}) for root in roots]
    assert nodes == [{"root": str((tmp_path / "data").resolve()), "fold": 1}] * 4
    found = [Evaluation(tmp_path, "valid", {}, settings={"dataset": node}) for node in nodes]
    assert all(one.alike(found[0]) for one in found)


def test_drawn_datasets_have_no_root() -> None:
    assert evaluation.placed({"size": 3}) == {"size": 3}
