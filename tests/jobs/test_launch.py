"""Several processes: the failure that explains the others, deaths, halts, and a new start."""

from __future__ import annotations

import os
import signal
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._C._distributed_c10d import TCPStore

from densepred import distributed
from densepred.errors import MachineError, UserError
from densepred.jobs import attempt
from densepred.jobs.attempt import Outcome, failure
from densepred.jobs.launch import launch
from densepred.process.stop import STOPPED
from tests.conftest import PATIENCE

GO_ON = "type the command again"
SOON = PATIENCE / 3
"""Seconds in which a run ends after one of its processes. The process group alone would wait for `PATIENCE`."""


def found(*outcomes: Outcome) -> Exception | None:
    return failure(list(outcomes), len(outcomes), list(range(len(outcomes))), GO_ON)


def test_ends_without_a_failure_have_none() -> None:
    assert found(Outcome("code", 0), Outcome("code", 75)) is None


@pytest.mark.parametrize(
    ("first", "kind", "text"),
    [
        (Outcome("user", text="b.png: damaged"), UserError, "b.png: damaged"),
        (Outcome("died", text="was killed by SIGKILL"), MachineError, "process 1 of 2 was killed by SIGKILL; type"),
        (Outcome("stalled", text="was halted"), MachineError, "process 1 of 2 was halted; type the command again"),
        (Outcome("machine", text="memory ran out"), MachineError, "memory ran out; type the command again"),
    ],
)
def test_the_cause_is_named_and_not_the_processes_that_lost_it(first: Outcome, kind: type, text: str) -> None:
    error = found(Outcome("lost", text="another process ended"), first)
    assert type(error) is kind
    assert str(error).startswith(text)


def test_a_mistake_of_ours_keeps_its_traceback() -> None:
    error = found(Outcome("code"), Outcome("bug", text="KeyError: 'x'", trace="Traceback of process 1"))
    assert isinstance(error, RuntimeError)
    assert error.__notes__ == ["Traceback of process 1"]
    assert str(error) == "process 1 of 2: KeyError: 'x'"


def behave(job: tuple[str, str]) -> int:
    """A job of two processes, in which the second misbehaves in its first attempt."""
    folder, act = job
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - of a process that ends
    distributed.join(PATIENCE)
    again = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    if distributed.rank() == 1 and not again:
        Path(folder, "act").touch()
        if act == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if act == "halt":
            os.kill(os.getpid(), signal.SIGSTOP)
        if act == "refuse":
            raise UserError("b.png: damaged")
    distributed.total(torch.ones(1))
    Path(folder, f"{distributed.rank()}.{again}").touch()
    distributed.leave()
    return 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        ("die", MachineError, "process 1 of 2 was killed by SIGKILL, often because memory ran out; type"),
        ("halt", MachineError, r"process 1 of 2 was halted \(SIGSTOP\) for 2 seconds"),
        ("refuse", UserError, "^b.png: damaged$"),
    ],
)
def test_a_process_that_fails_ends_all_and_is_named(tmp_path: Path, act: str, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        launch(behave, (str(tmp_path), act), 2, 0, 2.0, GO_ON)
    assert time.time() - (tmp_path / "act").stat().st_mtime < SOON, "only the process group's own timeout ended it"
    (tmp_path / "act").unlink()
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("act", ["die", "halt"])
def test_all_start_again_with_a_rendezvous_of_their_own(
    tmp_path: Path, act: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert launch(behave, (str(tmp_path), act), 2, 1, 2.0, GO_ON) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"act", "0.1", "1.1"}
    assert "all start again from the last checkpoint (1 of 1)" in capsys.readouterr().err


def saves_slowly(folder: str) -> int:
    """A job of two processes that was stopped: the first one still writes, and the other waits for it or not."""
    distributed.join(60)
    if distributed.is_main():
        time.sleep(2)
        Path(folder, "written").touch()
    elif Path(folder, "waits").exists():
        distributed.wait_for_first(60)
        assert Path(folder, "written").exists()
    distributed.leave()
    return STOPPED


@pytest.mark.slow
@pytest.mark.parametrize("waits", [True, False])
def test_a_first_process_that_writes_its_last_checkpoint_is_left_to_it(
    waits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "FAREWELL", 0.2)
    if waits:
        (tmp_path / "waits").touch()
    assert launch(saves_slowly, str(tmp_path), 2, 0, 30.0, GO_ON) == STOPPED
    assert (tmp_path / "written").exists()


@pytest.mark.slow
def test_a_first_process_that_never_ends_is_named_after_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "SAVING", 0.2)
    with pytest.raises(MachineError, match=f"^process 0 of 2 did not end by itself; {GO_ON}$"):
        launch(saves_slowly, str(tmp_path), 2, 0, 30.0, GO_ON)
    assert not (tmp_path / "written").exists()


@pytest.mark.slow
def test_mistakes_of_the_user_are_not_tried_again_and_leave_no_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that the error kept alive would be collected in a later loader worker, a fork, which then crashes."""
    stores: list[weakref.ref[TCPStore]] = []

    def recorded(*arguments: Any, **more: Any) -> TCPStore:
        store = TCPStore(*arguments, **more)
        stores.append(weakref.ref(store))
        return store

    monkeypatch.setattr(attempt, "TCPStore", recorded)
    with pytest.raises(UserError, match=r"b\.png: damaged") as caught:
        launch(behave, (str(tmp_path), "refuse"), 2, 3, 2.0, GO_ON)
    assert [one() for one in stores] == [None], caught
