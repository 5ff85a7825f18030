"""Loader workers outlive signals to the process group and never their parent, under every start method."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import get_worker_info

from densepred.dataset.shapes import Shapes
from densepred.errors import WorkerKilled
from densepred.loader import workers
from densepred.loader.parallel_map import parallel_map
from tests import cases, running
from tests.conftest import PATIENCE, REPOSITORY

METHODS = ("fork", "forkserver", "spawn")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}

ORPHAN = """
import multiprocessing, os, signal, sys, time
from densepred.loader.workers import calm_worker

def work(pipe, when):
    if when == "before it began":
        multiprocessing.parent_process().join()
    calm_worker(0)
    if when == "at work":
        pipe.send("ready")
    time.sleep(100)

if __name__ == "__main__":
    _, method, when = sys.argv
    context = multiprocessing.get_context(method)
    mine, theirs = context.Pipe()
    for _ in range(2):
        context.Process(target=work, args=(theirs, when)).start()
    if when == "at work":
        mine.recv(), mine.recv()
    print("killed", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""

TRAIN = """
import multiprocessing, sys

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv.pop(1))
    from densepred.train import main
    main()
"""


def script(folder: Path, text: str) -> list[str]:
    """The start methods forkserver and spawn import the main file again, so that it has to be one."""
    path = folder / "program.py"
    path.write_text(text)
    return [sys.executable, str(path)]


@pytest.mark.parametrize(
    "case",
    cases.few(product(METHODS, ("before it began", "at work")), [("fork", "at work")]),
    ids=" ".join,
)
def test_a_worker_ends_with_a_parent_that_is_killed(tmp_path: Path, case: tuple[str, str]) -> None:
    """The output of the program ends when the last process that holds it has ended."""
    call = [*script(tmp_path, ORPHAN), *case]
    done = subprocess.run(call, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.stdout, done.stderr) == ("killed\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_workers_of_every_start_method_give_the_same_run(tmp_path: Path, method: str) -> None:
    words = [word for word in running.TINY if not word.startswith("data.workers")]
    words += ["trainer.max_steps=2", "trainer.threads=1"]
    assert running.train(tmp_path / "alone", *words, "data.workers=0") == 0
    call = [*script(tmp_path, TRAIN), method, *words, "data.workers=1", f"hydra.run.dir={tmp_path}/run"]
    done = subprocess.run(call, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (tmp_path / "alone" / "metrics.jsonl").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("method", cases.few(METHODS, ["fork"]))
def test_workers_survive_sigterm_until_the_run_has_saved(tmp_path: Path, method: str) -> None:
    """`timeout` and job managers signal all processes of a run: the run then saves, with its workers alive."""
    words = [word for word in running.TINY if not word.startswith("data.workers")]
    call = [*script(tmp_path, TRAIN), method, *words, "trainer.epochs=1000", "data.workers=1"]
    run = subprocess.Popen(
        [*call, f"hydra.run.dir={tmp_path}/run"],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    limit = time.monotonic() + PATIENCE
    while not (tmp_path / "run" / "checkpoints" / "3").exists() and time.monotonic() < limit:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGTERM)
    out, err = run.communicate(timeout=PATIENCE)
    assert (run.returncode, err) == (75, "")
    assert "resume with" in out


GUEST = """
import multiprocessing, time
from multiprocessing import resource_sharer
from multiprocessing.connection import Client
from densepred.loader.workers import calm_worker

def work(pipe):
    calm_worker(0)
    pipe.send(resource_sharer.DupFd(0)._id[0])
    pipe.recv()

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()
    worker = context.Process(target=work, args=(theirs,))
    worker.start()
    address = mine.recv()
    for _ in range(3):
        Client(address).close()  # a parent that hangs up before the worker has greeted it
    time.sleep(0.1)
    mine.send(None)
    worker.join()
"""


@pytest.mark.slow
def test_a_worker_that_is_killed_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = Shapes._draw

    def dying(self: Shapes, *arguments: Any) -> Any:
        if get_worker_info() is not None and self.split == "train":
            os.kill(os.getpid(), signal.SIGKILL)
        return draw(self, *arguments)

    monkeypatch.setattr(Shapes, "_draw", dying)
    with pytest.raises(WorkerKilled, match="a loader worker was killed, often because memory ran out; lower"):
        running.train(tmp_path, "trainer.max_steps=2", "data.workers=1")


def test_a_worker_keeps_silent_when_its_parent_hangs_up(tmp_path: Path) -> None:
    """A parent that is stopped while it takes a tensor breaks the connection off."""
    done = subprocess.run(
        script(tmp_path, GUEST), env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_worker_still_reports_an_error_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    workers._report(ValueError, ValueError("a mistake"), None)
    workers._report(ConnectionResetError, ConnectionResetError("gone"), None)
    assert capsys.readouterr().err == "ValueError: a mistake\n"


class Lingering(threading.Timer):
    """A timer with a thread that takes a while to end, as on a busy machine."""

    def run(self) -> None:
        super().run()
        time.sleep(0.2)


def test_no_thread_holds_the_data_of_a_loader_that_was_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that frees tensors while Python ends aborts the process, after all work is done."""
    monkeypatch.setattr(threading, "Timer", Lingering)
    items = parallel_map(abs, [-1, -2, -3, -4], 1)
    assert next(items) == 1
    items.close()
    assert not [thread for thread in threading.enumerate() if isinstance(thread, Lingering)]


def test_the_number_of_workers_follows_the_processors_beside_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(24)), raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    assert [workers.number(5, device) for device in (cpu, gpu)] == [5, 5]
    assert [workers.number("auto", device) for device in (cpu, gpu)] == [2, 16]
    for processes, expected in ((2, 12), (8, 3), (64, 1)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
        assert workers.number("auto", gpu) == expected


def test_children_from_before_outlive_a_training() -> None:
    """A program that calls densepred may have children of its own."""
    context = multiprocessing.get_context("fork")
    mine = context.Process(target=time.sleep, args=(PATIENCE,))
    mine.start()
    try:
        with workers.ending_children():
            theirs = context.Process(target=time.sleep, args=(PATIENCE,))
            theirs.start()
        assert not theirs.is_alive()
        assert mine.is_alive()
    finally:
        mine.kill()
        mine.join()
