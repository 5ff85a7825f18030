"""Limits of control groups: of a container, a job of Slurm, a slice; files as Linux writes them in both versions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from densepred.process import control_group, processors

SLURM = "system.slice/slurmstepd.scope/job_7"


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(control_group, "ROOT", tmp_path / "cgroup")
    monkeypatch.setattr(control_group, "OWN", tmp_path / "own")
    return tmp_path / "cgroup"


def write(root: Path, own: str, files: Mapping[str, str]) -> None:
    (root.parent / "own").write_text(own)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")


CASES: dict[str, tuple[str, dict[str, str], int | None, float | None, list[tuple[int, int]]]] = {
    "none": ("0::/\n", {"cgroup.procs": "1"}, None, None, []),
    "container": (
        "0::/\n",
        {
            "memory.max": "3000",
            "memory.current": "1000",
            "cpu.max": "150000 100000",
            "pids.max": "40",
            "pids.current": "7",
        },
        2000,
        1.5,
        [(40, 7)],
    ),
    "pages of files are free": (
        "0::/../../other\n",
        {"memory.max": "3000", "memory.current": "2900", "memory.stat": "anon 900\nfile 2000\ninactive_file 1500"},
        1600,
        None,
        [],
    ),
    "without limits": (
        "0::/\n",
        {"memory.max": "max", "memory.current": "9", "cpu.max": "max 100000", "pids.max": "max", "pids.current": "9"},
        None,
        None,
        [],
    ),
    "job of Slurm, limits above it": (
        f"0::/{SLURM}/step_0\n",
        {
            f"{SLURM}/memory.max": "5000",
            f"{SLURM}/memory.current": "1000",
            f"{SLURM}/step_0/memory.max": "max",
            f"{SLURM}/step_0/memory.current": "10",
            f"{SLURM}/cpu.max": "400000 100000",
            f"{SLURM}/step_0/cpu.max": "200000 100000",
        },
        4000,
        2.0,
        [],
    ),
    "version 1": (
        "5:pids:/\n4:memory:/docker/ab\n1:cpu,cpuacct:/docker/ab\n0::/\n",
        {
            "memory/memory.limit_in_bytes": "9223372036854771712",
            "memory/memory.usage_in_bytes": "50",
            "memory/docker/ab/memory.limit_in_bytes": "700",
            "memory/docker/ab/memory.usage_in_bytes": "500",
            "memory/docker/ab/memory.stat": "cache 300\ntotal_inactive_file 200",
            "cpu/cpu.cfs_quota_us": "-1",
            "cpu/cpu.cfs_period_us": "100000",
            "cpu/docker/ab/cpu.cfs_quota_us": "50000",
            "cpu/docker/ab/cpu.cfs_period_us": "100000",
            "pids/pids.max": "64",
            "pids/pids.current": "3",
        },
        400,
        0.5,
        [(64, 3)],
    ),
    "version 1 in a container: its path is that of the host": (
        "4:memory:/docker/ab\n",
        {"memory/memory.limit_in_bytes": "700", "memory/memory.usage_in_bytes": "500"},
        200,
        None,
        [],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_limits_of_all_groups_of_the_process_are_found(name: str, groups: Path) -> None:
    own, files, memory, cpus, pids = CASES[name]
    write(groups, own, files)
    assert control_group.memory_left() == memory
    assert control_group.processors() == cpus
    assert control_group.processes() == pids


V1 = "memory/job"
KILLS: dict[str, tuple[str, dict[str, str], dict[str, str], str | None]] = {
    "version 2, the limit is that of a group above": (
        "0::/job/step\n",
        {"job/memory.max": "1048576000", "job/memory.events": "oom 1\noom_kill 1", "job/step/memory.max": "max"},
        {"job/memory.events": "oom 3\noom_kill 3"},
        "memory ran out: Linux killed 2 processes of the control group {}/job, which is limited to 1000 MiB",
    ),
    "version 1": (
        "4:memory:/job\n",
        {f"{V1}/memory.limit_in_bytes": "9223372036854771712", f"{V1}/memory.oom_control": "under_oom 0\noom_kill 0"},
        {f"{V1}/memory.oom_control": "under_oom 0\noom_kill 1"},
        "memory ran out: Linux killed 1 process of the control group {}/memory/job",
    ),
    "none": ("0::/\n", {"memory.events": "oom_kill 4"}, {"memory.events": "oom 9\noom_kill 4"}, None),
    "a new group": ("0::/\n", {"memory.events": "oom_group_kill 1"}, {"memory.events": "oom_kill 4"}, None),
}


@pytest.mark.parametrize("name", KILLS)
def test_kills_for_lack_of_memory_are_counted(name: str, groups: Path) -> None:
    own, before, after, sentence = KILLS[name]
    write(groups, own, before)
    kills = control_group.memory_kills()
    assert control_group.killed_since(kills) is None
    write(groups, own, after)
    assert control_group.killed_since(kills) == (sentence and sentence.format(groups))


@pytest.mark.parametrize(("quota", "expected"), [("50000", 1), ("250000", 3), ("9900000", 24), ("max", 24)])
def test_processors_are_those_of_the_affinity_and_of_the_quota(
    quota: str, expected: int, groups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(24)), raising=False)
    write(groups, "0::/\n", {"cpu.max": f"{quota} 100000"})
    assert processors.count() == expected


@pytest.mark.parametrize(
    ("wanted", "omp", "quota", "expected"),
    [(None, None, "200000", 2), (None, None, "max", 24), (None, "5", "200000", 24), (7, None, "200000", 7)],
)
def test_torch_takes_no_more_threads_than_a_container_gives_time_for(
    wanted: int | None, omp: str | None, quota: str, expected: int, groups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = [24]
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(24)), raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.delenv(processors.THREADS, raising=False)
    if omp is not None:
        monkeypatch.setenv(processors.THREADS, omp)
    write(groups, "0::/\n", {"cpu.max": f"{quota} 100000"})
    processors.use_threads(wanted)
    assert threads[-1] == expected
