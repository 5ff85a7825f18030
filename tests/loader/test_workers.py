"""Processes of a loader do not outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import REPOSITORY

ORPHAN = """
import multiprocessing, os, signal, time
from densepred.loader.workers import calm_worker

def work(parent):
    while os.getppid() == parent:
        time.sleep(0.01)
    calm_worker(0)
    print("still here", flush=True)

multiprocessing.get_context("fork").Process(target=work, args=(os.getpid(),)).start()
print("started", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_whose_parent_was_killed_before_it_began_ends() -> None:
    done = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("started\n", "")


def test_a_worker_survives_sigterm_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """`timeout` and job managers signal all processes of a run: the run then saves, with its workers alive."""
    words = [
        "dataset.size=[24,32]",
        "encoder.widths=[4,8]",
        "trainer.epochs=1000",
        "data.workers=1",
        "data.batch_size=4",
    ]
    run = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "densepred.train",
            *words,
            f"hydra.run.dir={tmp_path}/run",
            "dataset.counts={train: 8, valid: 2, test: 2}",
        ],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    limit = time.monotonic() + 120
    while not (tmp_path / "run" / "checkpoints" / "2").exists() and time.monotonic() < limit:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGTERM)
    out, err = run.communicate(timeout=90)
    assert (run.returncode, err) == (75, "")
    assert "resume with" in out
