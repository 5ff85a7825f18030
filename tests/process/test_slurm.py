"""The place of a task of Slurm, read from its variables."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import pytest

from densepred.errors import UserError
from densepred.process import slurm
from densepred.process.ranks import idle_tasks, must_start, queued_again

TASK = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_ID": "2",
    "SLURM_PROCID": "9",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_NTASKS": "32",
    "SLURM_STEP_NUM_TASKS": "12",
    "SLURM_STEP_TASKS_PER_NODE": "8,4",
    "SLURM_STEP_NODELIST": "gpu[03-04]",
    "SLURM_TASK_PID": "77",
}


@pytest.mark.parametrize(
    ("nodes", "hosts"),
    [
        ("node[01-03,7]", ["node01", "node02", "node03", "node7"]),
        ("a1,b[2-3]", ["a1", "b2", "b3"]),
        ("r[1-2]n[01,05]-ib", ["r1n01-ib", "r1n05-ib", "r2n01-ib", "r2n05-ib"]),
        ("n[098-101]", ["n098", "n099", "n100", "n101"]),
        ("login", ["login"]),
        ("", []),
    ],
)
def test_lists_of_nodes_are_read_as_scontrol_shows_them(nodes: str, hosts: list[str]) -> None:
    assert slurm.expand(nodes) == hosts


@pytest.mark.parametrize("nodes", ["node[1-", "node]1", "node[a-b]", "a,,b", "node[1-2-3]"])
def test_a_list_of_nodes_that_is_none_is_refused(nodes: str) -> None:
    with pytest.raises(UserError, match=r"SLURM_JOB_NODELIST.*; set MASTER_ADDR"):
        slurm.expand(nodes)


def test_a_task_gets_the_variables_of_torchrun() -> None:
    place = slurm.place(TASK)
    assert {name: place[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")} == {
        "RANK": "9",
        "WORLD_SIZE": "12",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "4",
    }
    assert place["MASTER_ADDR"] == "gpu03"
    assert 1024 < int(place["MASTER_PORT"]) < 65536
    other = slurm.place({**TASK, "SLURM_STEP_ID": "3"})
    assert other["MASTER_PORT"] != place["MASTER_PORT"], "two steps of a job meet at two ports"
    assert slurm.place({**TASK, "SLURM_STEP_NODELIST": "gpu03"})["MASTER_ADDR"] == "127.0.0.1"
    assert slurm.place({**TASK, "SLURM_STEP_TASKS_PER_NODE": "6(x2)"})["LOCAL_WORLD_SIZE"] == "6"


def test_variables_that_are_set_win_and_torchrun_in_a_task_is_left_alone() -> None:
    assert slurm.place({**TASK, "RANK": "0", "WORLD_SIZE": "2"}) == {}
    with mock.patch.dict(os.environ, {"MASTER_PORT": "29500"}):
        slurm.adopt({**TASK, "MASTER_PORT": "29500"})
        assert os.environ["MASTER_PORT"] == "29500"
        assert os.environ["RANK"] == "9"


def test_a_script_of_sbatch_is_one_process_with_a_note() -> None:
    """It has SLURM_PROCID=0 and SLURM_NTASKS too, and would wait for tasks that nothing has started."""
    script = {name: value for name, value in TASK.items() if "STEP" not in name} | {"SLURM_PROCID": "0"}
    assert slurm.place(script) == {}
    assert idle_tasks(1, "trainer.devices", script) == (
        "SLURM_NTASKS=32: only one process runs; start the command by srun, or type trainer.devices=32"
    )
    assert idle_tasks(8, "trainer.devices", script) is None
    assert idle_tasks(8, "trainer.devices", {**script, "SLURM_JOB_NUM_NODES": "2"}) == (
        "SLURM_JOB_NUM_NODES=2: all 8 processes run on this machine; start one process per GPU by srun, without "
        "trainer.devices"
    )
    assert idle_tasks(1, "trainer.devices", {"SLURM_NTASKS": "8"}) is None, "no job"


def test_a_shell_of_salloc_is_one_process_with_a_note() -> None:
    shell = {"SLURM_JOB_ID": "9", "SLURM_NTASKS": "4", "SLURM_JOB_NUM_NODES": "2"}
    assert slurm.place(shell) == {}
    assert idle_tasks(1, "devices", shell) == (
        "SLURM_NTASKS=4: only one process runs, on this machine and not on a node of the job; start the command by srun"
    )
    assert idle_tasks(1, "devices", {**shell, "SLURM_PROCID": "0", **STEP_OF_ONE}) is None


STEP_OF_ONE = {"SLURM_NTASKS": "1", "SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_ID": "0"}


def test_a_script_that_was_submitted_inside_a_step_does_not_wait_for_its_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sbatch keeps the variables of the step of another job, which name several tasks."""
    monkeypatch.setattr(slurm, "PROC", tmp_path)
    (tmp_path / "77").mkdir()
    words = tmp_path / "77" / "cmdline"
    words.write_bytes(b"/bin/bash\0/var/spool/slurmd/job00008/slurm_script\0")
    assert slurm.place(TASK) == {}
    assert idle_tasks(1, "devices", TASK) is not None
    words.write_bytes(b"/bin/bash\0-c\0densepred-train\0")
    assert slurm.place(TASK)["RANK"] == "9"
    assert idle_tasks(1, "devices", TASK) is None


def test_a_job_that_slurm_has_queued_again_has_a_note_that_it_begins_anew() -> None:
    job = {"SLURM_JOB_ID": "9", "SLURM_RESTART_COUNT": "2"}
    assert queued_again(None, job) == (
        "SLURM_RESTART_COUNT=2: the job was queued again, and the run begins anew; type hydra.run.dir=DIR "
        "trainer.resume=auto to go on after the next time"
    )
    assert queued_again("auto", job) is None
    assert queued_again(None, {"SLURM_JOB_ID": "9"}) is None


def test_ports_of_steps_are_none_that_linux_gives_to_others() -> None:
    ports = {slurm.port({"SLURM_JOB_ID": str(job), "SLURM_STEP_ID": "3"}) for job in range(20_000)}
    assert min(ports) >= 1024
    assert max(ports) < 32_768


def test_the_number_of_processes_is_that_of_the_launcher() -> None:
    assert must_start(2, {})
    assert not must_start(1, {})
    assert not must_start(8, {**TASK, "WORLD_SIZE": "12"})
