"""Several processes from the command line: one run folder, one error line, and one signal that stops both."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PATIENCE
from tests.program.test_program import ENVIRONMENT, equal_runs, errors, run, start, wait_for
from tests.running import TINY

TWO = (*TINY, "trainer.devices=2")
pytestmark = pytest.mark.slow


def metrics(folder: Path) -> str:
    return (folder / "metrics.json").read_text()


def test_two_devices_share_one_run_and_evaluate_as_one(tmp_path: Path) -> None:
    code, out, err = run("train", *TWO, "trainer.epochs=2", "hydra.run.dir=runs/two", folder=tmp_path)
    assert (code, errors(err)) == (0, [])
    assert "2 x cpu" in out
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["two"]
    assert run("eval", "ckpt=runs/two", "output=one", folder=tmp_path)[0] == 0
    assert run("eval", "ckpt=runs/two", "devices=2", "output=both", folder=tmp_path)[0] == 0
    assert metrics(tmp_path / "one") == metrics(tmp_path / "both")


def test_torchrun_gives_the_run_of_two_devices(tmp_path: Path) -> None:
    words = (*TINY, "trainer.epochs=2")
    assert run("train", *words, "trainer.devices=2", "hydra.run.dir=own", folder=tmp_path)[0] == 0
    call = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    call += ["-m", "densepred.train", *words, "hydra.run.dir=theirs"]
    subprocess.run(call, cwd=tmp_path, env=ENVIRONMENT, check=True, capture_output=True, timeout=PATIENCE)
    assert equal_runs(tmp_path / "own", tmp_path / "theirs")
    assert {path.name for path in tmp_path.iterdir()} == {"own", "theirs"}


def test_a_mistake_on_two_devices_is_one_line(tmp_path: Path) -> None:
    code, _, err = run("train", *TWO, "trainer.monitor=nonsense", folder=tmp_path)
    assert code == 2
    [line] = errors(err)
    assert line.startswith("error: trainer.monitor: no metric computes 'nonsense'; set trainer.monitor to one of")


def test_a_signal_stops_both_and_the_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    assert run("train", *TWO, "trainer.epochs=12", "hydra.run.dir=whole", folder=tmp_path)[0] == 0
    process = start("train", *TWO, "trainer.epochs=12", "hydra.run.dir=parts", folder=tmp_path)
    wait_for(tmp_path / "parts" / "checkpoints" / "3", process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 75, err
    assert "trainer.resume=" in out
    assert run("train", "trainer.resume=parts", folder=tmp_path)[0] == 0
    assert equal_runs(tmp_path / "whole", tmp_path / "parts")


def test_a_process_that_dies_ends_the_run_or_starts_it_again(tmp_path: Path) -> None:
    words = (*TWO, "trainer.epochs=30", "trainer.max_restarts=1", "hydra.run.dir=run")
    process = start("train", *words, folder=tmp_path)
    wait_for(tmp_path / "run" / "checkpoints" / "3", process)
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    victim = max(int(pid) for pid in children.stdout.split())
    subprocess.run(["kill", "-KILL", str(victim)], check=True)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    assert steps[-1] == 90
