"""A disk that refuses results does not end a training; results that are missing at its end do."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from densepred.engine import trainer
from densepred.errors import MachineError, UserError
from densepred.rundir.checkpoints import Checkpoints
from densepred.rundir.losses import Losses
from tests import running


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "choose another folder"),
        (errno.EEXIST, "move away what has its name"),
        (errno.EIO, "check the disk"),
    ],
)
def test_the_remedy_follows_from_the_cause(tmp_path: Path, number: int, remedy: str) -> None:
    warnings: list[str] = []
    losses = Losses(tmp_path, warnings.append)
    with losses.writing("last.safetensors", "not written"):
        raise OSError(number, os.strerror(number))
    assert warnings[0].endswith(f"; {remedy}")
    with pytest.raises(MachineError, match=rf"last\.safetensors, metrics\.jsonl could not be written; {remedy}"):
        losses.require_none(["metrics.jsonl"])
    with losses.writing("last.safetensors", "not written"):
        pass
    losses.require_none([])


@pytest.mark.parametrize("last", [False, True])
def test_training_goes_on_over_a_full_disk_and_an_error_ends_it_if_a_result_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: bool
) -> None:
    save = Checkpoints.save

    def refused(self: Checkpoints, step: int, *arguments: Any) -> None:
        if step > 1 and (last or step == 2):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder))
        save(self, step, *arguments)

    monkeypatch.setattr(Checkpoints, "save", refused)
    words = ("trainer.max_steps=3", "trainer.valid_every=0.33")
    if last:
        with pytest.raises(MachineError, match="checkpoint could not be written; free some space"):
            running.train(tmp_path, *words)
    else:
        assert running.train(tmp_path, *words) == 0
    assert Checkpoints(tmp_path / "checkpoints").steps() == ([1] if last else [1, 3])
    assert [line["step"] for line in running.metrics(tmp_path) if "train/lr" in line] == [1, 2, 3]
    assert "step 2: no checkpoint written" in (tmp_path / "train.log").read_text()


def test_a_run_in_a_folder_that_is_deleted_ends_and_makes_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backward = trainer.Trainer._backward

    def deleting(self: trainer.Trainer, batches: Any) -> Any:
        if self.progress.step == 2:
            shutil.rmtree(tmp_path / "run")
        return backward(self, batches)

    monkeypatch.setattr(trainer.Trainer, "_backward", deleting)
    with pytest.raises(UserError, match="run: the folder was deleted or moved while the run wrote to it"):
        running.train(tmp_path / "run", "trainer.max_steps=4")
    assert not (tmp_path / "run").exists()
