"""Runs of two processes that signals or kills disturb, under each launcher, end as an undisturbed one, bit for bit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.conftest import PATIENCE
from tests.program.test_clusters import LAUNCHERS, free_port, slurm, torchrun
from tests.program.test_program import ENVIRONMENT, equal_runs, run, start, wait_for
from tests.running import TINY

EPOCHS = 12  # of three steps
OPTIONS = (
    *TINY,
    f"trainer.epochs={EPOCHS}",
    "trainer.ema=0.9",
    "trainer.save_every=0.005",
    "encoder.dropout=0.2",
    "optimizer._target_=torch.optim.AdamW",  # ours updates whole weights in one pass, which rounds otherwise than parts
    "hydra.run.dir=run",
)
KILL, TERM, USR1 = signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1
Process = subprocess.Popen[str]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    code, _, err = run("train", *OPTIONS, "trainer.devices=2", folder=folder)
    assert code == 0, err
    return folder / "run"


def moment(run: Path, process: Process, draw: random.Random) -> None:
    """Wait until a random line of the metrics is written, and then until a random moment of the next step."""
    wait_for(run / "metrics.jsonl", process, lines=draw.randint(1, 3 * EPOCHS // 2))
    time.sleep(draw.uniform(0, 0.3))
    assert process.poll() is None, "the run ended before it was disturbed"


def children(process: Process) -> list[int]:
    """Return the process numbers of the ranks below a launcher."""
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    return sorted(int(pid) for pid in found.stdout.split())[-2:]  # before them stands Python's tracker of resources


def own_launcher(folder: Path, *words: str) -> list[Process]:
    return [start("train", *OPTIONS, "trainer.devices=2", *words, folder=folder)]


def by_torchrun(folder: Path, *words: str) -> list[Process]:
    launcher = ("--standalone", "--nproc-per-node=2", "--max-restarts=1", "--monitor-interval=0.5")
    handled = "--signals-to-handle=SIGTERM,SIGINT,SIGHUP,SIGUSR1"
    return [torchrun(folder, *OPTIONS, *words, launcher=(*launcher, handled))]


def by_slurm(folder: Path, *words: str) -> list[Process]:
    """Start two tasks of a step. They divide the weights, which changes no number."""
    job, plain = free_port(), {name: value for name, value in ENVIRONMENT.items() if name not in LAUNCHERS}
    call = [sys.executable, "-m", "densepred.train", *OPTIONS, "trainer.shard=true", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return [
        subprocess.Popen(call, cwd=folder, env={**plain, **slurm(rank, 2, job)}, text=True, **pipes)  # pyright: ignore
        for rank in range(2)
    ]


def ended(processes: Sequence[Process]) -> list[int]:
    return [(process.communicate(timeout=PATIENCE), process.returncode)[1] for process in processes]


@pytest.mark.parametrize("trial", range(2))
@pytest.mark.parametrize(("launch", "words"), [(own_launcher, ("trainer.max_restarts=1",)), (by_torchrun, ())])
def test_a_group_that_lost_a_rank_starts_again(
    whole: Path, tmp_path: Path, launch: Callable[..., list[Process]], words: tuple[str, ...], trial: int
) -> None:
    draw = random.Random(f"{launch.__name__} {trial}")
    (process,) = launch(tmp_path, *words)
    moment(tmp_path / "run", process, draw)
    os.kill(children(process)[trial], KILL)
    assert ended([process]) == [0]
    assert equal_runs(whole, tmp_path / "run")


@pytest.mark.parametrize("number", [USR1, TERM], ids=["USR1", "TERM"])
@pytest.mark.parametrize("launch", [own_launcher, by_torchrun, by_slurm])
def test_a_group_that_was_asked_to_stop_goes_on(
    whole: Path, tmp_path: Path, launch: Callable[..., list[Process]], number: signal.Signals
) -> None:
    draw, words = random.Random(f"{launch.__name__} {number}"), ("trainer.resume=auto",)
    processes = launch(tmp_path, *words)
    moment(tmp_path / "run", processes[0], draw)
    for process in processes:
        process.send_signal(number)
    assert (set(ended(processes)) == {75}) is (launch is not by_torchrun)  # its own code is never 75
    assert ended(launch(tmp_path, *words)) == [0] * len(processes)
    assert equal_runs(whole, tmp_path / "run")


@pytest.mark.parametrize("rank", range(2))
def test_a_step_of_slurm_that_lost_a_task_goes_on(whole: Path, tmp_path: Path, rank: int) -> None:
    words = ("trainer.resume=auto", "trainer.timeout_s=60")
    processes = by_slurm(tmp_path, *words)
    moment(tmp_path / "run", processes[0], random.Random(rank))
    processes[rank].send_signal(KILL)
    codes = ended(processes)
    assert codes[rank] == -KILL
    assert codes[1 - rank] == 2
    assert ended(by_slurm(tmp_path, *words)) == [0, 0]
    assert equal_runs(whole, tmp_path / "run")


def test_a_group_disturbed_again_and_again_arrives(whole: Path, tmp_path: Path) -> None:
    """Kills of launchers and ranks among them, with another launcher each time."""
    draw, words, metrics = random.Random(7), ("trainer.resume=auto",), tmp_path / "run" / "metrics.jsonl"
    for part, launch in enumerate((own_launcher, by_slurm, own_launcher, by_slurm)):
        before = metrics.read_bytes().count(b"\n") if metrics.exists() else 0
        processes = launch(tmp_path, *words)
        # A line more than before is one of this part: a task that is asked to stop at its start ends alone.
        wait_for(metrics, processes[0], lines=before + 2)
        time.sleep(draw.uniform(0, 0.3))
        for process in processes[:1]:
            process.send_signal(KILL if part % 2 == 0 else TERM)
        ended(processes)
    assert ended(own_launcher(tmp_path, *words)) == [0]
    assert equal_runs(whole, tmp_path / "run")
