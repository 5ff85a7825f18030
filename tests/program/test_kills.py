"""A run that is killed at any moment and resumed ends like an undisturbed one. Part of `make test-slow`."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from tests.program.test_program import equal_runs, run, start, wait_for
from tests.running import TINY

KILLS = 10
OPTIONS = (
    *(word for word in TINY if not word.startswith("data.workers")),
    "dataset.counts={train: 48, valid: 4, test: 1}",
    "data.workers=2",
    "trainer.epochs=8",
    "trainer.ema=0.9",
    "trainer.accumulate=2",
    "trainer.save_every=0.01",
    "encoder.dropout=0.2",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The undisturbed run, and the seconds from its first checkpoint to its end."""
    folder = tmp_path_factory.mktemp("whole")
    process = start("train", *OPTIONS, "hydra.run.dir=run", folder=folder)
    wait_for(folder / "run" / "config.yaml", process)
    begun = time.monotonic()
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return folder / "run", time.monotonic() - begun


@pytest.mark.slow
@pytest.mark.parametrize("trial", range(KILLS))
def test_a_killed_run_resumes_bit_for_bit(whole: tuple[Path, float], tmp_path: Path, trial: int) -> None:
    undisturbed, seconds = whole
    process = start("train", *OPTIONS, "hydra.run.dir=run", folder=tmp_path)
    wait_for(tmp_path / "run" / "config.yaml", process)
    time.sleep(random.Random(trial).uniform(0, 0.95 * seconds))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the run ended before it was killed"
    code, _, err = run("train", "trainer.resume=run", folder=tmp_path)
    assert (code, err) == (0, "")
    assert equal_runs(undisturbed, tmp_path / "run")


@pytest.mark.slow
def test_a_run_killed_again_and_again_arrives(whole: tuple[Path, float], tmp_path: Path) -> None:
    undisturbed, seconds = whole
    draw = random.Random(99)
    words = (*OPTIONS, "hydra.run.dir=run")
    for _ in range(5):
        process = start("train", *words, folder=tmp_path)
        time.sleep(draw.uniform(4, 6 + seconds / 2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        words = (*OPTIONS, "trainer.resume=run") if (tmp_path / "run").exists() else words
    assert run("train", *words, folder=tmp_path)[0] == 0
    assert equal_runs(undisturbed, tmp_path / "run")
