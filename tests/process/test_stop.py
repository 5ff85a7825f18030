"""The first signal asks, the second ends; phases that lose nothing are cut at once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from densepred.process import starting
from densepred.process.signals import SIGNALS
from densepred.process.stop import AGAIN, StopFlag, Stopped, held
from tests.conftest import REPOSITORY

PROGRAM = """
import os, signal, time
from densepred.process import starting
from densepred.process.stop import StopFlag
with StopFlag(lambda: print("children end", flush=True)):
    for pause, number in {signals}:
        time.sleep(pause)
        os.kill(os.getpid(), number)
print("went on")
"""


@contextmanager
def cut() -> Iterator[None]:
    """Expect Stopped inside the block."""
    with pytest.raises(Stopped):
        yield


def twice(*signals: tuple[float, int]) -> tuple[int, str, str]:
    text = PROGRAM.format(signals=[(pause, int(number)) for pause, number in signals])
    done = subprocess.run([sys.executable, "-c", text], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("number", SIGNALS)
def test_every_signal_raises_the_flag_and_is_named(number: signal.Signals) -> None:
    former = signal.signal(number, signal.SIG_DFL)  # SIGHUP is ignored under nohup
    try:
        with StopFlag() as stop:
            assert not stop.raised
            os.kill(os.getpid(), number)
            assert stop.raised
            assert stop.name == number.name
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, former)


def test_a_request_to_a_job_of_submitit_stays_with_it() -> None:
    """Its handler queues the job again; those of a flag around this one give way."""
    seen = []
    former = signal.signal(signal.SIGUSR2, lambda number, frame: seen.append(number))
    try:
        with StopFlag() as stop:
            os.kill(os.getpid(), signal.SIGUSR2)
            assert (stop.raised, seen) == (False, [signal.SIGUSR2])
    finally:
        signal.signal(signal.SIGUSR2, former)
    with StopFlag() as outer, StopFlag() as stop:
        os.kill(os.getpid(), signal.SIGUSR2)
        assert (outer.raised, stop.raised) == (False, True)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_flag_takes_the_signals_of_a_command_that_starts(number: signal.Signals) -> None:
    former = signal.signal(number, starting._end)
    try:
        with StopFlag() as stop:
            os.kill(os.getpid(), number)
            assert stop.raised
    finally:
        signal.signal(number, former)


def test_a_second_signal_ends_at_once_and_a_request_never_does() -> None:
    code, out, err = twice((0, signal.SIGTERM), (0.4, signal.SIGTERM))
    assert (code, out) == (143, "children end\n")
    assert err == "ended at once by a second signal (SIGTERM); what was complete stays\n"
    # Launchers, `timeout` and terminals repeat a signal within moments.
    assert twice((0, signal.SIGTERM), (0, signal.SIGTERM), (0.4, signal.SIGUSR1), (0, signal.SIGUSR2)) == (
        0,
        "went on\n",
        "",
    )


def test_an_interruptible_phase_is_cut_at_once_and_another_is_not() -> None:
    with StopFlag() as stop, cut(), stop.interruptible():
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(60)
    with StopFlag() as stop, cut(), stop.interruptible():
        with stop.deferred():
            os.kill(os.getpid(), signal.SIGUSR1)
            assert stop.raised
        raise AssertionError("the request is honoured behind the block")


def test_a_request_that_came_before_ends_the_next_phase() -> None:
    with StopFlag() as stop:
        os.kill(os.getpid(), signal.SIGUSR1)
        with cut(), stop.interruptible():
            raise AssertionError("the block is not entered")


def test_stopped_passes_code_that_catches_every_exception() -> None:
    with StopFlag() as stop, cut(), stop.interruptible():
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
        except Exception:
            raise AssertionError("caught") from None


class Finalised:
    """Its end falls into the moment of a signal, as a progress bar's may."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_flag_inside_takes_over_a_signal_that_was_hidden() -> None:
    with StopFlag() as command:
        with contextlib.suppress(BaseException), command.interruptible():
            os.kill(os.getpid(), signal.SIGTERM)
        with StopFlag() as training, cut(), training.interruptible():
            raise AssertionError("the block is not entered")
        assert training.name == "SIGTERM"


def test_a_signal_inside_a_finaliser_stops_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """Python drops what `__del__` raises and prints it, so that the request would wait for the next phase."""
    with StopFlag() as stop, cut(), stop.interruptible():
        Finalised()
        time.sleep(60)
    assert capsys.readouterr().err == ""
    ended = []
    with StopFlag() as stop:
        with stop.interruptible():
            Finalised()
        ended.append(stop.raised)
    assert ended == [True], "the second signal does not reach a handler that ends the process"
    time.sleep(2 * AGAIN)


def test_a_block_that_is_held_is_whole() -> None:
    done = []
    with StopFlag() as stop, cut(), stop.interruptible(), held():
        os.kill(os.getpid(), signal.SIGUSR1)
        done.append(1)
    assert done == [1]
    with StopFlag() as stop:
        with held():
            os.kill(os.getpid(), signal.SIGUSR1)
        assert stop.raised, "outside of an interruptible phase it only raises the flag"


def test_only_the_wait_for_an_item_is_cut() -> None:
    seen = []
    with StopFlag() as stop, cut(), stop.deferred():
        for item in stop.waiting([1, 2, 3]):
            os.kill(os.getpid(), signal.SIGUSR1)
            seen.append(item)
    assert seen == [1]


def test_a_forked_child_leaves_the_decision_to_its_parent() -> None:
    with StopFlag() as stop, stop.interruptible():
        child = os.fork()
        if child == 0:
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.01)
            except BaseException:
                os._exit(1)
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_nohup_keeps_a_run_alive() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopFlag() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.raised
    finally:
        signal.signal(signal.SIGHUP, former)
