"""Several jobs of a sweep at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from densepred.errors import UserError
from densepred.process.stop import STOPPED
from densepred.sweep import pool
from tests.conftest import PATIENCE, REPOSITORY
from tests.sweep.test_launcher import PROGRAM, sweeping, table


def test_each_job_gets_gpus_of_its_own() -> None:
    assert pool.places(2, 1, 4, {}) == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]
    named = {"CUDA_VISIBLE_DEVICES": "GPU-a, 5,2,7"}
    assert pool.places(2, 2, 4, named) == [{"CUDA_VISIBLE_DEVICES": "GPU-a,5"}, {"CUDA_VISIBLE_DEVICES": "2,7"}]


def test_names_of_gpus_are_passed_on_in_the_variables_that_count() -> None:
    uuids = {"CUDA_VISIBLE_DEVICES": "GPU-aa, GPU-bb"}
    assert pool.places(2, 1, 2, uuids) == [{"CUDA_VISIBLE_DEVICES": "GPU-aa"}, {"CUDA_VISIBLE_DEVICES": "GPU-bb"}]
    amd = {"CUDA_VISIBLE_DEVICES": "0,1", "HIP_VISIBLE_DEVICES": "4,5"}
    assert pool.places(2, 1, 2, amd) == [
        {"CUDA_VISIBLE_DEVICES": "0", "HIP_VISIBLE_DEVICES": "4"},
        {"CUDA_VISIBLE_DEVICES": "1", "HIP_VISIBLE_DEVICES": "5"},
    ]


def test_each_job_gets_a_part_of_a_gpu_of_its_own_though_a_process_sees_one_alone() -> None:
    parts = {"CUDA_VISIBLE_DEVICES": "MIG-a,MIG-b,MIG-c"}
    assert pool.places(3, 1, 1, parts) == [{"CUDA_VISIBLE_DEVICES": f"MIG-{name}"} for name in "abc"]
    with pytest.raises(UserError, match=r"sweep\.parallel=4: 4 jobs at a time, and 3 GPUs"):
        pool.places(4, 1, 1, parts)
    with pytest.raises(UserError, match=r"1 jobs of 2 GPUs at a time, and 1 GPUs"):
        pool.places(1, 2, 1, parts)


def test_more_jobs_than_gpus_are_refused_with_the_number_that_fits() -> None:
    with pytest.raises(UserError, match=r"sweep\.parallel=3: 3 jobs of 2 GPUs .* 4 GPUs .* sweep\.parallel=2"):
        pool.places(3, 2, 4, {})


def test_processors_are_divided_and_threads_that_are_set_stay() -> None:
    cores = len(os.sched_getaffinity(0))
    assert pool.places(2, 1, 0, {}) == [{"OMP_NUM_THREADS": str(max(1, cores // 2))}] * 2
    assert pool.places(2, 1, 0, {"OMP_NUM_THREADS": "5"}) == [{"OMP_NUM_THREADS": "5"}] * 2


def test_more_jobs_than_processors_are_remarked_on() -> None:
    cores = len(os.sched_getaffinity(0))
    told = pool.crowded(cores, 2, 0)
    assert told is not None
    assert told.startswith(f"sweep.parallel={cores}: there is no GPU, and {cores} processors")
    assert told.endswith(f"sweep.parallel={max(1, cores // 2)} takes no longer")
    assert pool.crowded(cores, 1, 0) is None
    assert pool.crowded(9 * cores, 1, 9 * cores) is None


def test_no_more_jobs_run_than_there_are_places_and_an_error_ends_them() -> None:
    alive, most, codes, asked = set[int](), list[int](), list[int](), list[bool]()

    def start(number: int, place: pool.Place) -> pool.Running:
        process = subprocess.Popen([sys.executable, "-S", "-c", f"raise SystemExit({number})"])
        alive.add(number)
        most.append(len(alive))

        def end(code: int, stopping: bool) -> None:
            alive.remove(number)
            codes.append(code)
            asked.append(stopping)

        return pool.Running(process, end)

    starts = [lambda place, n=n: start(n, place) for n in range(5)]
    assert pool.run(starts, [{}, {}], lambda: None)
    assert sorted(codes) == [0, 1, 2, 3, 4]
    assert max(most) == 2

    def refused(place: pool.Place) -> None:
        raise UserError("refused")

    with pytest.raises(UserError, match="refused"):
        pool.run([lambda place: start(9, place), refused], [{}, {}], lambda: None)
    assert not alive
    assert asked == [*[False] * 5, True]


@pytest.mark.slow
def test_two_at_a_time_give_the_table_of_one_after_the_other(tmp_path: Path) -> None:
    words = ("seed=1,2,5,3", "hydra.sweep.dir=multirun/x")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = sweeping(tmp_path / "one", *words), sweeping(tmp_path / "two", *words, "sweep.parallel=2")
    assert one.returncode == two.returncode == 2
    rows = [
        [line.split()[:-2] for line in run.stdout[run.stdout.index("job  over") :].splitlines()] for run in (one, two)
    ]
    assert rows[0][:5] == rows[1][:5]
    assert "job 1: exit 1 after" in two.stdout
    assert "RuntimeError: job two" in two.stdout
    assert "job two" in (tmp_path / "two" / "multirun" / "x" / "1.log").read_text()


def test_ctrl_c_waits_until_a_job_can_take_it(tmp_path: Path) -> None:
    text = """if True:
        import os, signal
        from densepred.process.stop import StopFlag
        os.kill(os.getpid(), signal.SIGINT)
        with StopFlag() as stop:
            print(stop.raised, stop.name)
    """
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    assert pool.start([sys.executable, "-c", text], env, tmp_path / "log").wait() == 0
    assert (tmp_path / "log").read_text() == "True SIGINT\n"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.slow
@pytest.mark.parametrize(("parallel", "number"), [(1, signal.SIGINT), (2, signal.SIGTERM), (2, signal.SIGINT)])
def test_a_signal_reaches_all_jobs_and_the_same_command_goes_on(
    tmp_path: Path, parallel: int, number: signal.Signals
) -> None:
    """Ctrl-C in a terminal reaches the sweep and its jobs, SIGTERM the sweep alone; one line either way."""
    first = '(folder / "was").touch(exist_ok=False)'
    waits = f"""if cfg.seed > 5 and not (folder / "was").exists():
        import time
        {first}
        time.sleep(60)"""
    (tmp_path / "program.py").write_text(PROGRAM.replace("if cfg.seed == 2:", f"{waits}\n    if cfg.seed == 2:"))
    sweep = ["--multirun", "seed=6,7,1", "hydra.sweep.dir=multirun/x", f"sweep.parallel={parallel}"]
    words = [sys.executable, "program.py", *sweep]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        words, cwd=tmp_path, env=env, stdout=-1, stderr=-1, text=True, start_new_session=True
    ) as process:
        while sum(1 for _ in tmp_path.glob("multirun/x/*/was")) < parallel and process.poll() is None:
            time.sleep(0.2)
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == STOPPED, out + err
    [line] = [line for line in err.splitlines() if not line.startswith("note: ")]  # on a machine of one processor
    cut, rest = ("job 0", "[seed=7") if parallel == 1 else ("job 0, 1", "[seed=1")
    again = "resume the sweep with: densepred-train sweep.resume=multirun/x; not begun:"
    assert line.startswith(f"stopped by {number.name}; {cut}: {again} {rest}")
    later = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert later.stdout.count("goes on") == parallel, later.stdout + later.stderr
    assert [row[2] for row in table(later.stdout)[:3]] == ["done"] * 3
