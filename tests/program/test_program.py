"""The commands as users run them, each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densepred import predictor
from tests import forked, running
from tests.conftest import PATIENCE, REPOSITORY
from tests.running import TINY

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}


def start(command: str, *words: str, folder: Path) -> subprocess.Popen[str]:
    call = [sys.executable, "-m", forked.module(command), *words]
    return subprocess.Popen(
        call, cwd=folder, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def run(command: str, *words: str, folder: Path) -> tuple[int, str, str]:
    """Run a command in a fresh interpreter, as a shell does."""
    process = start(command, *words, folder=folder)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def wait_for(path: Path, process: subprocess.Popen[str], lines: int = 0) -> None:
    """Wait until a running process has written a file, with this many lines at least."""
    limit = time.monotonic() + PATIENCE
    while not path.exists() or (lines and path.read_bytes().count(b"\n") < lines):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < limit, f"{path} was not written"
        time.sleep(0.02)


def wait_for_checkpoint(runs: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    """Wait for a checkpoint of any step: one of a given step may come and be removed between two looks."""
    limit = time.monotonic() + PATIENCE
    while not list(runs.glob(f"{pattern}/checkpoints/[1-9]*")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < limit, f"no checkpoint in {runs}"
        time.sleep(0.02)


def errors(err: str) -> list[str]:
    """Return the lines of standard error, without those on several processes of one machine without a GPU."""
    usual = ("the processes take turns", "trainer.sync_norm=true: batch norms share statistics on CUDA alone")
    return [line for line in err.splitlines() if not any(text in line for text in usual)]


def equal_runs(a: Path, b: Path) -> bool:
    return running.differences(a, b) == []


def test_train_kill_resume_eval_predict(tmp_path: Path) -> None:
    options = (*TINY, "trainer.epochs=4", "data.workers=1")
    code, out, _ = forked.run("train", *options, "hydra.run.dir=whole", folder=tmp_path)
    assert code == 0
    assert "densepred-eval ckpt=" in out

    process = start("train", *options, "hydra.run.dir=parts", folder=tmp_path)
    wait_for(tmp_path / "parts" / "checkpoints" / "3" / "manifest.json", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    code, out, err = forked.run("train", "trainer.resume=parts", folder=tmp_path)
    assert (code, err) == (0, "")
    assert equal_runs(tmp_path / "whole", tmp_path / "parts")

    code, out, _ = run("eval", "ckpt=whole", "output=scores", folder=tmp_path)
    assert code == 0
    assert "background" in out
    scores = json.loads((tmp_path / "scores" / "metrics.json").read_text())["metrics"]
    best = json.loads((tmp_path / "whole" / "summary.json").read_text())["best"]
    assert {name: scores[name] for name in scores if not name.startswith("loss")} == {
        name: best[name] for name in scores if not name.startswith("loss")
    }

    code, out, _ = forked.run("eval", "ckpt=whole", "metric=[boundary_iou]", "output=again", folder=tmp_path)
    assert code == 0
    again = json.loads((tmp_path / "again" / "metrics.json").read_text())["metrics"]
    assert again["boundary_iou"] is not None
    assert "miou" not in again

    sizes = {"a": (37, 45), "b": (2, 7), "sub/c": (64, 20)}
    for name, size in sizes.items():
        path = tmp_path / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)).save(path)
    (tmp_path / "images" / "broken.jpg").write_bytes(b"\xff\xd8\xff no image")
    code, out, err = forked.run("predict", "ckpt=whole", "input=images", "output=seen", folder=tmp_path)
    assert code == 4
    assert "broken.jpg" in err
    for name, size in sizes.items():
        with Image.open(tmp_path / "seen" / "labels" / f"{name}.png") as image:
            assert image.mode == "P"
            assert image.size == size[::-1]
            expected = predictor.load(tmp_path / "whole")(tmp_path / "images" / f"{name}.png").semantic
            assert np.array_equal(np.asarray(image), expected.numpy())


def test_a_signal_ends_a_run_that_can_be_resumed(tmp_path: Path) -> None:
    process = start("train", *TINY, "trainer.epochs=400", "hydra.run.dir=run", folder=tmp_path)
    wait_for(tmp_path / "run" / "checkpoints", process)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 75
    assert "resume with: densepred-train trainer.resume=" in out


@pytest.mark.parametrize(
    ("command", "words", "message"),
    [
        ("eval", ("ckpt=nowhere",), "nowhere: no such file or folder; give a run folder"),
        ("predict", ("ckpt=nowhere", "input=nothing"), "input=nothing: there is no such file or folder"),
        ("train", ("trainer.resume=nowhere",), "trainer.resume=nowhere: there is no such run folder"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path, command: str, words: tuple[str, ...], message: str
) -> None:
    code, _, err = forked.run(command, *words, folder=tmp_path)
    assert code == 2
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    assert message in err
    assert not any(tmp_path.iterdir())
