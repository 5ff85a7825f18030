"""Sentences below the table of a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from densepred.sweep import remarks
from densepred.sweep.job import SweepJob
from densepred.sweep.ledger import Entry, Ledger
from densepred.sweep.table import winner


def job(number: int, *overrides: str) -> SweepJob:
    return SweepJob(number, list(overrides), Path("none"), 0, 1.0, 0.5, {}, "s", "max")


def test_equal_jobs_are_named_and_the_best_has_no_gap() -> None:
    jobs = [job(0, "seed=1", "x=1"), job(1, "seed=2", "x=1"), job(2, "x=1", "seed=1")]
    assert remarks.of(jobs) == ["jobs 0, 2 have equal settings, so they are one run that was computed again"]
    assert remarks.of(jobs[:2]) == []
    assert winner(jobs[::2]) == "best of 2 by s: job 0, 0.5000 (as good: job 2)"


def test_jobs_of_a_former_command_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(remarks.left(tmp_path, [])) == []
    for number in range(3):
        Ledger(tmp_path).write(Entry(number, [f"seed={number}"], "", "done", str(number)))
    for number in (0, 1):  # a job that was refused has no folder
        (tmp_path / str(number)).mkdir()
    told = f"not in this table, because this command does not make them: {tmp_path}/1"
    assert list(remarks.left(tmp_path, [tmp_path / "0"])) == [told]
    assert list(remarks.left(tmp_path, [tmp_path / "0", tmp_path / "1"])) == []
    node = {"hydra": {"sweeper": {"max_batch_size": None}}}
    remarks.tell_left(OmegaConf.create(node), tmp_path, [tmp_path / "0"])
    assert capsys.readouterr().out == f"  {told}\n"
    node["hydra"]["sweeper"]["max_batch_size"] = 2  # type: ignore[assignment]
    remarks.tell_left(OmegaConf.create(node), tmp_path, [tmp_path / "0"])
    assert capsys.readouterr().out == ""
