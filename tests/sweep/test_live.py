"""The state of a sweep while its jobs run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from densepred import output
from densepred.sweep import live
from densepred.sweep.job import SweepJob


class Sweep:
    """Two of three jobs in progress, and a clock that the test sets."""

    def __init__(self, folder: Path, terminal: bool) -> None:
        self.now, self.jobs, self.folder = 0.0, list[SweepJob](), folder
        self.live = live.Live(3, self.jobs, lambda: self.now)
        self.live.terminal = terminal
        for number, loss in enumerate(("ce", "dice")):
            (folder / str(number)).mkdir()
            words = ["trainer.epochs=9", f"loss={loss}"]
            self.live.began(number, words, "miou", folder / str(number))

    def look(self, now: float) -> None:
        self.now = now
        self.live.look()

    def validated(self, number: int, step: int, miou: float) -> None:
        with (self.folder / str(number) / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, "valid/miou": miou}) + "\n")


def test_without_a_terminal_a_line_comes_each_30_seconds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = Sweep(tmp_path, terminal=False)
    sweep.look(29.0)
    assert capsys.readouterr().out == ""
    sweep.look(30.0)
    assert capsys.readouterr().out == "0 of 3 jobs ended, 2 in progress\n"
    sweep.jobs.append(SweepJob(0, ["loss=ce"], tmp_path, 0, 40.0, 0.5, {}, "miou", "max"))
    sweep.live.ended(0)
    sweep.look(59.0)
    assert capsys.readouterr().out == ""
    sweep.look(60.0)
    told = "1 of 3 jobs ended, 1 in progress; best of 1 by miou: job 0, loss=ce, 0.5000\n"
    assert capsys.readouterr().out == told


def test_a_terminal_shows_each_job_in_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = Sweep(tmp_path, terminal=True)
    sweep.validated(1, 10, 0.25)
    sweep.look(5.0)
    state, first, second = capsys.readouterr().out.splitlines()
    assert state == "0 of 3 jobs ended, 2 in progress"
    assert first.split() == ["job", "0", "loss=ce", "0:05"]
    assert second.split() == ["job", "1", "loss=dice", "0:05", "step", "10:", "miou", "0.2500"]
    sweep.look(5.5)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(sys, "stdout", output.Screen(sys.stdout))  # as it is in commands
    sweep.live.say("job 0: done")
    assert capsys.readouterr().out == "\033[3A\033[Jjob 0: done\n"
    sweep.look(6.5)
    assert not capsys.readouterr().out.startswith("\033")  # nothing of the state stands there any more
    sweep.look(8.0)
    assert capsys.readouterr().out.startswith("\033[3A\033[J0 of 3 jobs ended")
    sweep.live.clear()
    sweep.live.clear()
    assert capsys.readouterr().out == "\033[3A\033[J"


def test_rows_fit_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    sweep = Sweep(tmp_path, terminal=True)
    sweep.live.began(2, ["x" * 50], None, tmp_path)
    sweep.look(5.0)
    assert {len(line) for line in capsys.readouterr().out.splitlines()} <= set(range(20))
