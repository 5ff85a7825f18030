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
from densepred.sweep import pool
from tests.conftest import PATIENCE, REPOSITORY
from tests.sweep.test_launcher import PROGRAM, sweeping, table


def test_each_job_gets_gpus_of_its_own() -> None:
    assert pool.places(2, 1, 4, {}) == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]
    named = {"CUDA_VISIBLE_DEVICES": "GPU-a, 5,2,7"}
    assert pool.places(2, 2, 4, named) == [{"CUDA_VISIBLE_DEVICES": "GPU-a,5"}, {"CUDA_VISIBLE_DEVICES": "2,7"}]


def test_more_jobs_than_gpus_are_refused_with_the_number_that_fits() -> None:
    with pytest.raises(UserError, match=r"sweep\.parallel=3: 3 jobs of 2 GPUs .* 4 GPUs .* sweep\.parallel=2"):
        pool.places(3, 2, 4, {})


def test_processors_are_divided_and_threads_that_are_set_stay() -> None:
    cores = len(os.sched_getaffinity(0))
    assert pool.places(2, 1, 0, {}) == [{"OMP_NUM_THREADS": str(max(1, cores // 2))}] * 2
    assert pool.places(2, 1, 0, {"OMP_NUM_THREADS": "5"}) == [{"OMP_NUM_THREADS": "5"}] * 2


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


@pytest.mark.slow
def test_a_signal_reaches_all_jobs_and_the_same_command_goes_on(tmp_path: Path) -> None:
    first = '(folder / "was").touch(exist_ok=False)'
    waits = f"""if cfg.seed > 5 and not (folder / "was").exists():
        import time
        {first}
        time.sleep(60)"""
    (tmp_path / "program.py").write_text(PROGRAM.replace("if cfg.seed == 2:", f"{waits}\n    if cfg.seed == 2:"))
    words = [sys.executable, "program.py", "--multirun", "seed=6,7,1", "hydra.sweep.dir=multirun/x", "sweep.parallel=2"]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(words, cwd=tmp_path, env=env, stdout=-1, stderr=-1, text=True) as process:
        while sum(1 for _ in tmp_path.glob("multirun/x/*/was")) < 2 and process.poll() is None:
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, "no job has saved"
    line = "job 0, 1: resume the sweep with: densepred-train sweep.resume=multirun/x; not begun: [seed=1"
    assert line in err, out + err
    again = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert again.stdout.count("goes on") == 2, again.stdout + again.stderr
    assert [row[2] for row in table(again.stdout)[:3]] == ["done"] * 3
