"""The number of processes of a run: refused, or remarked on, before any of them starts."""

from __future__ import annotations

import pytest
import torch

from densepred import train
from densepred.errors import UserError
from densepred.jobs import launch
from densepred.process import ranks
from tests.conftest import composed


@pytest.mark.parametrize(
    ("count", "environment", "remedy"),
    [
        (4, {"LOCAL_WORLD_SIZE": "8", "SLURM_PROCID": "0"}, "set --ntasks-per-node to 4"),
        (1, {"WORLD_SIZE": "2"}, "set trainer.devices or --nproc-per-node to 1"),
        (8, {"LOCAL_WORLD_SIZE": "8"}, None),
        (1, {"LOCAL_WORLD_SIZE": "8", "SLURM_GPUS_PER_TASK": "1"}, None),
        (1, {"LOCAL_WORLD_SIZE": "8", "SLURM_PROCID": "0", "SLURM_GPU_BIND": "none"}, "set --ntasks-per-node to 1"),
        (0, {"LOCAL_WORLD_SIZE": "8"}, None),
    ],
)
def test_more_processes_than_accelerators_are_refused(
    count: int, environment: dict[str, str], remedy: str | None
) -> None:
    if remedy is None:
        ranks.require_devices(count, environment)
        return
    with pytest.raises(UserError, match=f"which has {count} accelerators; {remedy}"):
        ranks.require_devices(count, environment)


def test_the_launcher_refuses_more_processes_than_accelerators() -> None:
    with pytest.raises(UserError, match=r"^devices=9: this machine shows 2 accelerators, .* type devices=2,"):
        ranks.check(9, "devices", 2, 64)
    assert ranks.check(2, "devices", 2, 1) is None


def test_more_processes_than_processors_are_remarked_on() -> None:
    told = ranks.check(9, "trainer.devices", 0, 2)
    assert told is not None
    assert told.startswith("trainer.devices=9: there is no accelerator, and 2 processors: the processes take turns")
    assert "trainer.devices=1" in told
    assert ranks.check(2, "trainer.devices", 0, 2) is None


@pytest.mark.parametrize("processes", range(2, 10))
@pytest.mark.parametrize("batch", [1, 3, 8, 12])
def test_what_to_type_for_a_batch_that_does_not_divide_does(batch: int, processes: int) -> None:
    told = ranks.indivisible(batch, processes, "trainer.devices")
    if batch % processes == 0:
        assert told is None
        return
    assert told is not None
    multiple, fewer = (int(word.rpartition("=")[2]) for word in told.partition("; type ")[2].split(", or "))
    assert multiple % processes == 0
    assert batch % fewer == 0
    assert 0 < fewer < processes


def test_a_batch_that_does_not_divide_is_refused_before_any_process_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*arguments: object) -> int:
        raise AssertionError("a process was started")

    monkeypatch.setattr(launch, "launch", started)
    monkeypatch.setattr(train.command, "folder", lambda: "run")
    monkeypatch.setattr(train.command, "choices", lambda: {})
    monkeypatch.setattr(train.command, "overrides", lambda: [])
    with pytest.raises(UserError, match=r"^data\.batch_size=8 does not divide over 9 devices; type data\.batch"):
        train.train(composed("trainer.devices=9"))
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    with pytest.raises(UserError, match=r"^trainer\.devices=8: this machine shows 2 accelerators"):
        train.train(composed("trainer.devices=8"))


def test_ranks_that_have_not_come_are_named() -> None:
    assert ranks.unjoined({3, 5}, 9) == "processes 3, 5 of 9 have not joined"
    assert ranks.unjoined({3}, 9) == "process 3 of 9 has not joined"


MET = {"MASTER_ADDR": "here", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"RANK": "x"}, "RANK=x: no whole number from 0 to 2147483647; start the command by torchrun or srun"),
        ({"WORLD_SIZE": "two", "RANK": "0"}, "WORLD_SIZE=two: no whole number from 1 to"),
        ({"SLURM_PROCID": "-1"}, "SLURM_PROCID=-1: no whole number"),
        (
            {"WORLD_SIZE": "2", "RANK": "0", **MET, "MASTER_PORT": "70000"},
            "MASTER_PORT=70000: no whole number from 1 to 65535",
        ),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE=2: without RANK, MASTER_ADDR, MASTER_PORT; .* or unset WORLD_SIZE"),
        ({"WORLD_SIZE": "2", "RANK": "2", **MET}, "RANK=2: no process of WORLD_SIZE=2 has this number"),
        ({"RANK": "1"}, "RANK=1: no process of WORLD_SIZE=1 has this number; .* or unset RANK"),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, "OMPI_COMM_WORLD_SIZE=4: mpirun would start as many runs of their own; start"),
        ({"OMPI_COMM_WORLD_SIZE": "4", "WORLD_SIZE": "4", "RANK": "3", **MET}, None),
        ({"OMPI_COMM_WORLD_SIZE": "4", "SLURM_STEP_NUM_TASKS": "4"}, None),
        ({"WORLD_SIZE": "2", "RANK": "1", **MET}, None),
        ({}, None),
    ],
)
def test_variables_of_a_launcher_that_name_no_process_are_refused(
    environment: dict[str, str], message: str | None
) -> None:
    if message is None:
        ranks.require_place(environment)
        return
    with pytest.raises(UserError, match=f"^{message}"):
        ranks.require_place(environment)


def test_commands_that_divide_no_work_are_refused_in_several_processes() -> None:
    ranks.require_one("predict", {})
    ranks.require_one("predict", {"WORLD_SIZE": "1"})
    with pytest.raises(
        UserError, match=r"^WORLD_SIZE=4: densepred-predict is one process, not 4; start it without tor"
    ):
        ranks.require_one("predict", {"WORLD_SIZE": "4"})
    with pytest.raises(UserError, match=r"by srun --ntasks=1$"):
        ranks.require_one("check", {"WORLD_SIZE": "2", "SLURM_PROCID": "1"})
