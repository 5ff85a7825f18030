"""Lines about long work without a count."""

from __future__ import annotations

import threading

import pytest

from densepred.rundir import waiting as module
from densepred.rundir.waiting import waiting


def test_a_line_at_the_start_and_one_each_time_until_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "EVERY", 0.001)
    seen = threading.Event()
    told: list[str] = []
    monkeypatch.setattr(module, "print", lambda line, **_: (told.append(line), len(told) > 2 and seen.set()), False)
    with waiting("tracing the network"):
        assert seen.wait(60)
    after = len(told)
    assert told[:2] == ["  tracing the network", "  tracing the network  0:00"]
    assert not any(thread.name == "waiting" for thread in threading.enumerate())
    assert len(told) == after


def test_short_work_without_a_first_line_is_silent_and_errors_pass(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="damaged"), waiting("reading", begin=False):
        raise ValueError("damaged")
    with waiting("reading", enabled=False):
        pass
    assert capsys.readouterr().out == ""


def test_work_goes_on_where_no_thread_can_be_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with waiting("reading"):
        pass
    assert capsys.readouterr().out == "  reading\n"
