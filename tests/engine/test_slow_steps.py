"""Lines of progress between two entries of the log of a training."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from densepred.engine.trainer import Trainer
from densepred.rundir import progress_bar
from densepred.rundir.progress import Meter, Progress
from densepred.rundir.progress_bar import ProgressBar


def test_slow_steps_show_their_loss_before_the_next_entry(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = SimpleNamespace(now=time.monotonic(), monotonic=lambda: clock.now)
    monkeypatch.setattr(progress_bar, "time", clock)
    trainer = cast(Any, Trainer.__new__(Trainer))
    trainer.progress, trainer.meter, trainer.total = Progress("miou", "max"), Meter(), 40
    trainer.settings = SimpleNamespace(log_every=10)
    with ProgressBar("training", 40, "step") as bar:
        for loss in (2.0, 1.0):
            clock.now += 20
            trainer.progress.step += 1
            trainer.meter.add({"total": torch.tensor(loss)}, 4)
            trainer._report(bar)
    told = capsys.readouterr().out
    assert told.startswith("  training  step 2/40  loss 1.5000  ")
    assert trainer.meter.read()[0] == {"total": 1.5}  # the entry counts every step
