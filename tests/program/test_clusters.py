"""Tasks of Slurm and of torchrun are one run."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch.multiprocessing as mp

from tests import forked
from tests.conftest import PATIENCE, REPOSITORY
from tests.program.test_program import ENVIRONMENT, equal_runs, errors, run, start, wait_for_checkpoint
from tests.running import TINY

LAUNCHERS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def slurm(rank: int, world: int, job: int) -> dict[str, str]:
    """The variables of a task, on one node, without any of torchrun's."""
    return {
        "SLURM_JOB_ID": str(job),
        "SLURM_STEP_ID": "0",
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
        "SLURM_NODEID": "0",
        "SLURM_NTASKS": str(world),
        "SLURM_STEP_NUM_TASKS": str(world),
        "SLURM_NTASKS_PER_NODE": str(world),
        "SLURM_JOB_NODELIST": "here",
        "GLOO_SOCKET_IFNAME": "lo",
    }


def task(rank: int, world: int, folder: str, job: int, words: tuple[str, ...]) -> None:
    for name in LAUNCHERS:
        os.environ.pop(name, None)
    ended = forked.run("train", *words, folder=Path(folder), environment=slurm(rank, world, job))
    (Path(folder) / f"task{rank}.json").write_text(json.dumps(ended))


def srun(world: int, folder: Path, *words: str) -> list[tuple[int, str, str]]:
    """Start the tasks of a step; return exit code, output and errors of each."""
    job = free_port()  # another at each call: the port of the step follows from it
    mp.start_processes(task, args=(world, str(folder), job, words), nprocs=world, start_method="fork")
    return [tuple(json.loads((folder / f"task{rank}.json").read_text())) for rank in range(world)]  # pyright: ignore


def test_two_tasks_of_slurm_are_one_run(tmp_path: Path) -> None:
    first, second = srun(2, tmp_path, *TINY, "trainer.max_steps=2", "hydra.run.dir=run")
    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert "2 x cpu" in first[1]
    assert second[1] == "", "one process reports"
    assert {path.name for path in tmp_path.iterdir()} == {"run", "task0.json", "task1.json"}
    assert (tmp_path / "run" / "last.safetensors").is_file()


@pytest.mark.slow
def test_a_process_with_a_validation_batch_more_holds_up_no_other_and_a_seed_gives_one_run(tmp_path: Path) -> None:
    """Three images one by one are two batches of the first process and one of the second."""
    words = (*TINY, "data.valid_batch_size=1", "trainer.epochs=1", "trainer.timeout_s=120")
    for name in ("first", "second"):
        ended = srun(2, tmp_path, *words, f"hydra.run.dir={name}")
        assert [code for code, _, _ in ended] == [0, 0], ended
    assert equal_runs(tmp_path / "first", tmp_path / "second")


def test_auto_begins_and_then_goes_on(tmp_path: Path) -> None:
    words = (*TINY, "trainer.max_steps=2", "trainer.resume=auto", "hydra.run.dir=run")
    assert forked.run("train", *words, folder=tmp_path)[0] == 0
    code, out, _ = forked.run("train", *words, folder=tmp_path)
    assert code == 0
    assert "the run is complete at step 2" in out
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "trainer.resume=auto: the folder must be the same at every start; add hydra.run.dir=DIR"),
        (("hydra.run.dir=photos",), "hydra.run.dir=photos: holds other files and no run; choose another folder"),
        (("hydra.run.dir=photos/a.png",), "hydra.run.dir=photos/a.png: is a file; choose a folder"),
    ],
)
def test_auto_refuses_a_folder_that_cannot_be_the_run(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.png").touch()
    code, _, err = forked.run("train", *TINY, "trainer.resume=auto", *words, folder=tmp_path)
    assert (code, err) == (2, f"error: {message}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.slow
def test_tasks_of_slurm_give_the_weights_of_as_many_devices(tmp_path: Path) -> None:
    words = (*TINY, "data.batch_size=6", "trainer.max_steps=4")
    assert run("train", *words, "trainer.devices=3", "hydra.run.dir=own", folder=tmp_path)[0] == 0
    ended = srun(3, tmp_path, *words, "hydra.run.dir=step")
    assert [code for code, _, _ in ended] == [0, 0, 0]
    assert equal_runs(tmp_path / "own", tmp_path / "step")


@pytest.mark.slow
def test_a_step_of_a_real_cluster_gives_the_weights_of_as_many_devices(tmp_path: Path) -> None:
    if shutil.which("srun") is None or subprocess.run(["sinfo"], capture_output=True, check=False).returncode:
        pytest.skip("no Slurm answers on this machine")
    words = (*TINY, "data.batch_size=4", "trainer.max_steps=4")
    assert run("train", *words, "trainer.devices=2", "hydra.run.dir=own", folder=tmp_path)[0] == 0
    step = ["srun", "--ntasks=2", "--ntasks-per-node=2", sys.executable, "-m", "densepred.train"]
    subprocess.run([*step, *words, "hydra.run.dir=step"], cwd=tmp_path, env=ENVIRONMENT, check=True, timeout=PATIENCE)
    assert equal_runs(tmp_path / "own", tmp_path / "step")


@pytest.mark.parametrize(
    ("code", "comes_further", "queued_again"),
    [(75, True, True), (143, True, True), (143, False, False), (75, False, False), (2, True, False), (0, True, False)],
)
def test_the_script_of_the_page_queues_a_job_again_only_if_it_came_further(
    code: int, comes_further: bool, queued_again: bool, tmp_path: Path
) -> None:
    """A task with a wrong setting ends by 2, but `srun` by 143, that of tasks which it has ended then."""
    text = (
        (REPOSITORY / "docs" / "clusters.md")
        .read_text(encoding="utf-8")
        .partition("#!/bin/bash\n")[2]
        .partition("```")[0]
    )
    further = f"mkdir -p {tmp_path}/run/checkpoints/100; " if comes_further else ""
    for name, line in (("srun", f"{further}exit {code}"), ("scontrol", f'echo "$@" > {tmp_path}/asked')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "run" / "checkpoints" / "20").mkdir(parents=True)
    script = text.replace("/shared/runs/mine", str(tmp_path / "run"))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_JOB_ID": "7"}
    assert subprocess.run(["bash", "-c", script], env=environment, check=False).returncode == code
    assert (tmp_path / "asked").exists() == queued_again


def torchrun(folder: Path, *words: str, launcher: tuple[str, ...]) -> subprocess.Popen[str]:
    call = [sys.executable, "-m", "torch.distributed.run", *launcher, "-m", "densepred.train", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(call, cwd=folder, env=ENVIRONMENT, text=True, **pipes)  # pyright: ignore


@pytest.mark.slow
def test_two_nodes_of_torchrun_are_one_run(tmp_path: Path) -> None:
    words = (*TINY, "trainer.max_steps=4", "hydra.run.dir=nodes")
    meeting = ("--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{free_port()}")
    nodes = [torchrun(tmp_path, *words, launcher=(*meeting, f"--rdzv-conf=is_host={n}")) for n in (1, 0)]
    for node in nodes:
        _, err = node.communicate(timeout=PATIENCE)
        assert node.returncode == 0, err
    assert [path.name for path in tmp_path.iterdir()] == ["nodes"]
    one = (*TINY, "trainer.max_steps=4", "trainer.devices=2", "hydra.run.dir=own")
    assert run("train", *one, folder=tmp_path)[0] == 0
    assert equal_runs(tmp_path / "own", tmp_path / "nodes")


@pytest.mark.slow
def test_torchrun_starts_again_in_the_same_folder(tmp_path: Path) -> None:
    words = (*TINY, "trainer.epochs=40")  # long enough to be alive when it is killed
    process = torchrun(
        tmp_path, *words, launcher=("--standalone", "--nproc-per-node=2", "--max-restarts=1", "--monitor-interval=0.5")
    )
    runs = tmp_path / "runs" / "semantic-shapes-unet"
    wait_for_checkpoint(runs, "*", process)
    victims = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    os.kill(max(int(pid) for pid in victims.stdout.split()), signal.SIGKILL)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    (folder,) = runs.iterdir()
    assert run("train", *words, "trainer.devices=2", "hydra.run.dir=own", folder=tmp_path)[0] == 0
    assert equal_runs(tmp_path / "own", folder)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_to_torchrun_saves(tmp_path: Path, number: signal.Signals) -> None:
    words = (*TINY, "trainer.epochs=400", "hydra.run.dir=run")
    more = ("--signals-to-handle=SIGTERM,SIGINT,SIGUSR1",)
    process = torchrun(tmp_path, *words, launcher=("--standalone", "--nproc-per-node=2", *more))
    wait_for_checkpoint(tmp_path, "run", process)
    process.send_signal(number)
    out, _ = process.communicate(timeout=PATIENCE)
    assert re.search(r"^stopped at step \d+; resume with", out, re.M)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGINT])
def test_a_signal_to_the_launcher_of_two_saves(tmp_path: Path, number: signal.Signals) -> None:
    process = start("train", *TINY, "trainer.epochs=400", "trainer.devices=2", "hydra.run.dir=run", folder=tmp_path)
    wait_for_checkpoint(tmp_path, "run", process)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors(err)) == (75, [])
    assert len(re.findall(r"^stopped at step \d+; resume with", out, re.M)) == 1
