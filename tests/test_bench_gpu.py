"""The rows that the benchmark of a GPU is asked for, and their order; the figures need a card."""

from __future__ import annotations

import argparse
import importlib
import sys
from types import ModuleType

import pytest

from tests.conftest import REPOSITORY

ARGUMENTS = {"rows": "all", "only": [], "batch": 16, "dry": False}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [*sys.path, str(REPOSITORY / "scripts")])
    return importlib.import_module("bench_gpu")


def names(bench: ModuleType, page: str, **changes: object) -> list[str]:
    return [name for _, name, _ in bench.chosen(argparse.Namespace(**{**ARGUMENTS, **changes}), page)]


def test_rows_without_figures_come_first_or_alone(bench: ModuleType) -> None:
    page = "| FCOS | `trainer=gpu` | | | |\n| OpenPose | default | 3 | | |\n| 4 loader processes | |\n| --- | --- |\n"
    missing = ["4 loader processes", "FCOS | trainer=gpu"]
    assert names(bench, page, rows="missing") == missing
    assert names(bench, page)[:2] == missing
    assert sorted(names(bench, page)) == sorted(names(bench, ""))
    assert names(bench, page, only=[("steps", ":", "OpenPose | def")]) == ["OpenPose | default"]


def test_the_command_of_the_page_fills_every_row_that_stands_empty_there(bench: ModuleType) -> None:
    page = bench.PAGE.read_text(encoding="utf-8")
    section = bench.open_rows(page.partition("### Rows without figures")[2])
    assert section <= set(names(bench, page, rows="missing"))


def test_no_row_begins_that_would_end_too_late(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("steps", "a", lambda: "1 |"), ("steps", "b, compiled", lambda: "2 |"), ("heads", "c", lambda: "3 |")]
    assert bench.measure(rows, 1.0) == ["b, compiled", "c"]  # a compiler is expected to take a minute
    assert bench.measure(rows, 9.0) == []
    assert capsys.readouterr().out.splitlines()[-1] == "| c | 3 | |"
