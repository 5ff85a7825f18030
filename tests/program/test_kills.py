"""A run that is killed at any moment and resumed ends like an undisturbed one. Part of `make test-slow`."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import PATIENCE
from tests.program.test_program import equal_runs, run, start, wait_for
from tests.running import TINY

KILLS = 10
OPTIONS = (
    *(word for word in TINY if not word.startswith("data.workers")),
    "dataset.counts={train: 48, valid: 4, test: 1}",
    f"data.workers={min(2, len(os.sched_getaffinity(0)))}",  # more than processors, and torch warns on stderr
    "trainer.epochs=8",
    "trainer.ema=0.9",
    "trainer.accumulate=2",
    "trainer.save_every=0.01",
    "encoder.dropout=0.2",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The undisturbed run, and the seconds that a line of its metrics took."""
    folder = tmp_path_factory.mktemp("whole")
    process = start("train", *OPTIONS, "hydra.run.dir=run", folder=folder)
    wait_for(folder / "run" / "config.yaml", process)
    begun = time.monotonic()
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    return folder / "run", (time.monotonic() - begun) / lines(folder / "run")


def lines(run: Path) -> int:
    return (run / "metrics.jsonl").read_bytes().count(b"\n")


def kill(process: subprocess.Popen[str], run: Path, after: int, pause: float) -> None:
    """Kill a process at a moment that its progress sets, not the clock: machines are busy at times."""
    wait_for(run / "config.yaml", process)
    if after:
        wait_for(run / "metrics.jsonl", process, lines=after)
    time.sleep(pause)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the run ended before it was killed"


@pytest.mark.slow
@pytest.mark.parametrize("trial", range(KILLS))
def test_a_killed_run_resumes_bit_for_bit(whole: tuple[Path, float], tmp_path: Path, trial: int) -> None:
    undisturbed, seconds = whole
    draw, last = random.Random(trial), int(0.8 * lines(undisturbed))
    process = start("train", *OPTIONS, "hydra.run.dir=run", folder=tmp_path)
    kill(process, tmp_path / "run", last * trial // KILLS, draw.uniform(0, seconds))
    code, _, err = run("train", "trainer.resume=run", folder=tmp_path)
    assert (code, err) == (0, "")
    assert equal_runs(undisturbed, tmp_path / "run")


@pytest.mark.slow
def test_a_run_killed_again_and_again_arrives(whole: tuple[Path, float], tmp_path: Path) -> None:
    undisturbed, seconds = whole
    draw, last = random.Random(99), int(0.8 * lines(undisturbed))
    words = (*OPTIONS, "hydra.run.dir=run")
    for part in range(KILLS):
        process = start("train", *words, folder=tmp_path)
        kill(process, tmp_path / "run", last * part // KILLS, draw.uniform(0, seconds))
        words = (*OPTIONS, "trainer.resume=run")
    assert run("train", *words, folder=tmp_path)[0] == 0
    assert equal_runs(undisturbed, tmp_path / "run")
