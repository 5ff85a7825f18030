"""Jobs of a sweep through submitit: their resources, a job that is asked to save, and whole sweeps on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from densepred.errors import UserError
from densepred.process.stop import STOPPED
from densepred.sweep import slurm
from tests.conftest import REPOSITORY
from tests.sweep.test_launcher import sweeping, table

CONFIG = REPOSITORY / "configs" / "hydra" / "launcher" / "slurm.yaml"
CATCHES = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)
JOB = f"""
import os, pathlib, signal, sys, time
for number in (signal.SIGUSR1, signal.SIGUSR2):
    os.kill(os.getpid(), number)
print("begun", flush=True)
pathlib.Path(sys.argv[1]).touch()
time.sleep(0.1)
signal.signal(signal.SIGUSR1, lambda *_: sys.exit({STOPPED}))
time.sleep(60)
"""
"""It is signalled before it takes signals, as Slurm signals all processes of a job."""


def settings(**changes: Any) -> dict[str, Any]:
    found = yaml.safe_load(CONFIG.read_text())
    del found["_target_"]
    return {**found, **changes}


def test_a_job_has_a_gpu_for_each_of_its_processes() -> None:
    assert slurm.parameters(settings(), 8)["gpus_per_node"] == 8
    found = slurm.parameters(settings(nodes=4, tasks_per_node=8, partition="long", parameters={"mail-type": "END"}), 1)
    assert found["gpus_per_node"] == 8
    assert found["nodes"] == 4
    assert found["slurm_partition"] == "long"
    assert found["slurm_signal_delay_s"] == 120
    assert found["slurm_additional_parameters"] == {"mail-type": "END"}
    assert "slurm_account" not in found
    assert slurm.parameters(settings(gpus_per_node=0), 2)["gpus_per_node"] == 0


@pytest.mark.parametrize(
    ("changes", "devices", "message"),
    [
        ({"nodes": 2}, 8, r"trainer\.devices=8: a job has 2 tasks already, .*tasks_per_node=8"),
        ({"gpus_per_node": 4}, 8, r"gpus_per_node=4: a node runs 8 processes, .* set it to 8"),
        ({"tasks_per_node": 8, "gpus_per_node": 1}, 1, r"gpus_per_node=1: a node runs 8 processes"),
        ({"cluster": "pbs"}, 1, r"hydra\.launcher\.cluster=pbs: give one of slurm, local"),
        ({"cluster": "local", "tasks_per_node": 2}, 1, r"on this machine a job is one task"),
    ],
)
def test_resources_that_do_not_fit_are_refused(changes: dict[str, Any], devices: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        slurm.parameters(settings(**changes), devices)


@pytest.fixture
def handlers() -> Iterator[list[int]]:
    """Signals that reach the handlers of submitit, which `Step` puts its own before."""
    reached: list[int] = []
    before = [signal.signal(number, lambda number, frame: reached.append(number)) for number in CATCHES]
    yield reached
    for number, handler in zip(CATCHES, before, strict=True):
        signal.signal(number, handler)


def test_a_job_near_its_end_saves_before_submitit_queues_it_again(
    tmp_path: Path, handlers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = tmp_path / "ready"

    def near_the_end() -> None:
        while not ready.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR2)

    threading.Thread(target=near_the_end).start()
    command = [sys.executable, "-S", "-c", JOB, str(ready)]
    step = slurm.Step(command, {"OWN": "1"}, str(tmp_path), str(tmp_path / "0.log"))
    monkeypatch.setattr(slurm, "EVERY", 0.05)
    assert step() == STOPPED
    assert handlers == [signal.SIGUSR2]
    assert (tmp_path / "0.log").read_text() == "begun\n"


def test_a_job_without_a_result_has_failed() -> None:
    class Job:
        def done(self) -> bool:
            return True

        def results(self) -> list[int]:
            raise RuntimeError("cancelled")

    assert slurm.Submitted(Job()).wait() == slurm.LOST


def test_a_cluster_or_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"hydra/launcher=slurm: .*srun.*; type it where sbatch is"):
        slurm._executor("slurm", tmp_path, 1)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"submitit is not installed; type pip install 'densepred\[slurm\]'"):
        slurm._executor("slurm", tmp_path, 1)


def test_what_sbatch_answers_is_no_mistake_of_densepred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    for name in ("srun", "sbatch"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'sbatch: error: invalid partition specified: tiny' >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    executor = slurm._executor("slurm", tmp_path / "jobs", 1)
    with pytest.raises(
        UserError, match=r"refuses the job: error: invalid partition specified: tiny; correct hydra\.lau"
    ):
        slurm._submitted(executor, slurm.Step(["true"], {}, str(tmp_path), str(tmp_path / "log")))


def answers(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("cluster", slurm.CLUSTERS)
def test_a_sweep_through_submitit_has_a_table_and_goes_on(tmp_path: Path, cluster: str) -> None:
    pytest.importorskip("submitit")
    if cluster == "slurm" and not answers("sinfo"):
        pytest.skip("no Slurm answers on this machine")
    words = ("hydra/launcher=slurm", f"hydra.launcher.cluster={cluster}", "hydra.launcher.gpus_per_node=0")
    words += ("hydra.launcher.cpus_per_task=1", "hydra.sweep.dir=sweep", "trainer.max_steps=2", "seed=1,2")
    first = sweeping(tmp_path, *words)
    assert first.returncode == 2  # the job of seed 2 fails
    assert first.stdout.count(f"submitted as {cluster} job") == 2
    assert "job 1: exit 1" in first.stdout
    assert "best of 2 by miou: job 0, seed=1, 0.1250; failed: job 1" in first.stdout
    second = sweeping(tmp_path, *words)
    assert "submitted" not in second.stdout
    assert table(second.stdout) == table(first.stdout)
