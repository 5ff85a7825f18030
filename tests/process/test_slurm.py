"""The place of a task of Slurm, read from its variables."""

from __future__ import annotations

import os
from unittest import mock

import pytest

from densepred.errors import UserError
from densepred.process import slurm
from densepred.process.ranks import idle_tasks, must_start

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
    assert idle_tasks(1, "trainer.devices", {"SLURM_NTASKS": "8"}) is None, "a shell of salloc is no task"


def test_the_number_of_processes_is_that_of_the_launcher() -> None:
    assert must_start(2, {})
    assert not must_start(1, {})
    assert not must_start(8, {**TASK, "WORLD_SIZE": "12"})
