"""Lines about long work where the output is no terminal."""

from __future__ import annotations

import sys
import types

import pytest

from densepred.rundir import console, progress_bar
from densepred.rundir.progress_bar import ProgressBar


class Clock:
    """Seconds that pass only when a test lets them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress_bar, "time", clock)
    return clock


def test_a_line_every_half_minute_with_text_and_time_left(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar("training", 40, "step", initial=10)
    with bar:
        for second in range(1, 25):
            clock.now = 1000.0 + 4 * second
            bar.note(f"loss {1 / second:.2f}")
            bar.update()
    assert capsys.readouterr().out.splitlines() == [
        "  training  step 18/40  loss 0.12  1:28 left",  # 8 steps took 32 seconds, and 22 are left
        "  training  step 26/40  loss 0.06  0:56 left",
        "  training  step 34/40  loss 0.04  0:24 left",
    ]


def test_the_limit_of_a_run_ends_the_estimate(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    for total, told in ((None, "  training  step 1  0:20 left"), (3, "  training  step 1/3  0:20 left")):
        with ProgressBar("training", total, "step", left=lambda: 20.0) as bar:
            clock.now += 31
            bar.update()
        assert capsys.readouterr().out == f"{told}\n"


def test_without_a_total_or_a_limit_the_count_stands_alone(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("predicting", None, "image") as bar:
        clock.now += 31
        bar.update(2)
    assert capsys.readouterr().out == "  predicting  image 2\n"


def test_short_work_and_other_processes_are_silent(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(ProgressBar("predicting", 3, "image").over("abc")) == ["a", "b", "c"]
    with ProgressBar("training", 3, "step", enabled=False) as bar:
        clock.now += 100
        bar.update()
    assert capsys.readouterr() == ("", "")


def test_a_notebook_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its standard error is no terminal, and shows what bars write."""
    shell = types.SimpleNamespace(kernel=object())
    for found, bar in ((None, False), (shell, True), (types.SimpleNamespace(), False)):
        monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda found=found: found))
        assert console.in_notebook() is bar
        assert ProgressBar("training", 3, "step").bar.disable is not bar
