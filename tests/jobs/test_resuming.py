"""The line of a stopped run."""

from __future__ import annotations

from pathlib import Path

import pytest

from densepred.jobs import resuming
from densepred.rundir.log import Log


@pytest.mark.parametrize(("steps", "where"), [([], "before the first step"), ([3, 12], "at step 12")])
def test_a_stopped_run_names_its_step_on_a_line_of_its_own(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    steps: list[int],
    where: str,
) -> None:
    for step in steps:
        (tmp_path / "checkpoints" / str(step)).mkdir(parents=True)
    monkeypatch.setattr("densepred.rundir.console.is_terminal", lambda: True)
    assert resuming.stopped(tmp_path, {}, [], Log(tmp_path)) == resuming.STOPPED
    out, err = capsys.readouterr()
    assert out == f"stopped {where}; resume with: densepred-train trainer.resume={tmp_path}\n"
    assert err == "\n", "the terminal shows ^C where the cursor was"
