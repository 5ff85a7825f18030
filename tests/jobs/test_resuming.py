"""The line of a stopped run, and going on without what it began from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from densepred.errors import UserError
from densepred.jobs import printed_summary, resuming, training
from densepred.rundir.log import Log
from densepred.weights import pretrained
from tests import running


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


def test_the_weights_that_a_run_began_from_may_be_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone, run = tmp_path / "gone", tmp_path / "run"
    assert running.train(gone, "trainer.max_steps=1") == 0
    small = [word for word in running.TINY if not word.startswith("encoder")]
    begun = (*small, "encoder=vgg16", "encoder.width=0.0625", f"weights.init={gone}")
    monkeypatch.setattr(pretrained, "LEAST", 0.0)

    def train(folder: Path, *words: str) -> int:
        return training.work(running.bare_job(folder, *begun, *words))

    assert train(run, "trainer.max_steps=1") == 0
    shutil.rmtree(gone)
    with pytest.raises(UserError, match=r"weights\.init: .*gone"):
        train(tmp_path / "another", "trainer.max_steps=1")
    capsys.readouterr()
    again = ("encoder.pretrained=true", "trainer.max_steps=2", f"trainer.resume={run}")
    assert train(run, *again, "trainer.allow=[trainer.max_steps,encoder,model]") == 0
    line = f"weights.init={gone}, encoder.pretrained=true: not read, the checkpoint of step 1 has the weights"
    assert line in capsys.readouterr().out


def test_tensorboard_is_pointed_at_the_runs_never_at_all_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert printed_summary._watched(tmp_path / "mine") == "mine"
    assert printed_summary._watched(tmp_path / "runs" / "mine") == "runs"
