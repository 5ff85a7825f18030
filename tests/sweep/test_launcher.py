"""A sweep runs every job in its own process, whatever becomes of the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hydra.core.utils import JobStatus
from omegaconf import OmegaConf

from densepred.errors import UserError
from densepred.process.stop import Stopped
from densepred.sweep import record
from densepred.sweep.job import SweepJob, ended, result
from densepred.sweep.launcher import TABLE, Processes
from densepred.sweep.ledger import Entry, Ledger, alone
from densepred.sweep.table import aligned, cells, markdown, winner
from tests.conftest import PATIENCE, REPOSITORY

PROGRAM = """
import json, os, signal
from densepred.cli import command
def function(cfg):
    folder = command.folder()
    (folder / "job.json").write_text(json.dumps([os.getpid(), cfg.seed, command.choices()["model"]]))
    if cfg.seed == 2: raise RuntimeError("job two")
    if cfg.seed == 3: os.kill(os.getpid(), signal.SIGKILL)
    if cfg.seed == 4: return 75
    (folder / "summary.json").write_text(json.dumps({
        "monitor": "miou", "mode": "max", "best": {"miou": cfg.seed / 8}, "last": {"miou": 11.0}, "parameters": 7,
        "probe": {"checkerboard": 0.00025},
    }))
if __name__ == "__main__":
    command.run(function, "train")
"""


def sweeping(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a sweep of a program; the seed of a job decides how it ends."""
    (folder / "program.py").write_text(PROGRAM)
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    words = [sys.executable, "program.py", "--multirun", *arguments]
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=PATIENCE)


def jobs(folder: Path) -> dict[int, list[Any]]:
    """Return what the jobs of a sweep wrote, in their order; file systems list folders in any."""
    found = {int(p.parent.name): json.loads(p.read_text()) for p in (folder / "multirun").glob("*/*/job.json")}
    return dict(sorted(found.items()))


@pytest.mark.slow
def test_a_job_that_fails_or_dies_stops_no_other(tmp_path: Path) -> None:
    done = sweeping(tmp_path, "seed=1,2,3,4,5", "trainer.max_steps=2")
    assert done.returncode == 2
    found = jobs(tmp_path)
    assert [found[i][1] for i in range(5)] == [1, 2, 3, 4, 5]
    assert len({pid for pid, _, _ in found.values()}) == 5
    rows = done.stdout[done.stdout.index("job  overrides") :].splitlines()[1:6]
    for seed, row, ending in zip(range(1, 6), rows, ["done", "exit 1", "signal 9", "exit 75", "done"], strict=True):
        assert ending in row
        assert f"seed={seed}" in row
        assert "max_steps" not in row, "all jobs share it"
    assert "0.1250" in rows[0]
    assert "0.6250" in rows[4]
    assert done.stderr.splitlines()[-1].startswith("error: 3 of 5 jobs failed")
    assert done.stdout.splitlines()[-1] == "  best of 5 by miou: job 4, seed=5, 0.6250; failed: job 1, 2, 3"


@pytest.mark.parametrize(
    ("mode", "values", "codes", "line"),
    [
        ("max", (0.2, 0.5, 0.9), (0, 0, 3), "best of 3 by s: job 1, seed=1, 0.5000; failed: job 2"),
        ("min", (0.2, 0.5, 0.9), (0, 0, 0), "best of 3 by s: job 0, seed=0, 0.2000"),
        ("max", (0.5, 0.5, None), (0, 0, 0), "best of 3 by s: job 0, seed=0, 0.5000 (as good: job 1)"),
        ("max", (None, 0.5, 0.1), (0, 2, 2), "no job has a best score; failed: job 1, 2"),
        (None, (0.1, 0.2, 0.3), (0, 0, 0), "no job is the best: they are compared by s"),
    ],
)
def test_the_winner_is_named(mode: str | None, values: Any, codes: Any, line: str) -> None:
    jobs = [
        SweepJob(n, [f"seed={n}", "x=1"], Path("f"), code, 1.0, value, {}, "s", mode)
        for n, (value, code) in enumerate(zip(values, codes, strict=True))
    ]
    assert winner(jobs) == line


def test_a_stopped_sweep_can_be_resumed_as_soon_as_a_job_has_begun(tmp_path: Path) -> None:
    node = {"sweep": {"dir": str(tmp_path)}, "job": {"config_name": "train"}}
    sweep: Any = Processes()
    sweep.setup(hydra_context=None, task_function=None, config=OmegaConf.create({"hydra": node}))
    plans: Any = [SimpleNamespace(number=n, words=[f"seed={n}"]) for n in range(6)]
    with pytest.raises(Stopped) as stop, sweep.resumable(plans):
        raise Stopped
    assert (str(stop.value), stop.value.resumable) == ("", False), "nothing was written"
    record.write(tmp_path, "train", ["--multirun", "seed=0,1,2,3,4,5"])
    Ledger(tmp_path).write(Entry(0, ["seed=0"], "", "begun", "0"))
    sweep.jobs = sweep.cut = [SweepJob(0, ["seed=0"], tmp_path / "0", 130, 1.0, None)]
    with pytest.raises(Stopped) as stop, sweep.resumable(plans):
        raise Stopped
    assert stop.value.resumable
    assert str(stop.value) == (
        f"job 0: resume the sweep with: densepred-train sweep.resume={tmp_path}; "
        "not begun: [seed=1], [seed=2], [seed=3] and 2 more"
    )


@pytest.mark.parametrize(
    ("code", "stopping", "state"), [(130, True, "stopped"), (75, False, "stopped"), (1, False, "failed")]
)
def test_a_job_that_a_signal_ended_goes_on_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], code: int, stopping: bool, state: str
) -> None:
    sweep: Any = Processes()
    node = {"sweep": {"dir": str(tmp_path)}, "job": {"config_name": "train"}}
    sweep.setup(hydra_context=None, task_function=None, config=OmegaConf.create({"hydra": node}))
    plan: Any = SimpleNamespace(number=0, overrides=["seed=1"], folder=tmp_path / "0")
    sweep.running[0] = plan
    ledger, ended = Ledger(tmp_path), []
    sweep.told = ended.append
    sweep._end(plan, Entry(0, ["seed=1"], "", "begun", "0"), ledger, None, code, 1.0, stopping)
    assert [job.code for job in ended] == [code] * (state == "failed")  # a search goes on with the others
    assert ledger.last()["0"].state == state
    again = f"go on with it by densepred-train sweep.resume={tmp_path}"
    told = "" if code != 75 else f"job 0: exit 75 after 1 s: a signal stopped it alone; {again}\n"
    assert capsys.readouterr().out == told


def test_two_starts_of_one_sweep_do_not_run_beside_each_other(tmp_path: Path) -> None:
    sweep: Any = Processes()
    node = {"sweep": {"dir": str(tmp_path)}, "job": {"config_name": "train"}}
    sweep.setup(hydra_context=None, task_function=None, config=OmegaConf.create({"hydra": node}))
    with alone(tmp_path), pytest.raises(UserError, match="the sweep still runs in another process; wait for its end"):
        sweep.run([], [])
    with alone(tmp_path):
        assert not any(tmp_path.iterdir())


def test_a_sweep_over_groups_succeeds_with_0_and_keeps_no_raw_overrides(tmp_path: Path) -> None:
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "small.yaml").write_text("# small\ndefaults: [unet]\n")
    done = sweeping(tmp_path, "--config-dir", "mine", "model=unet,small", "hydra.sweep.dir=a b", 'dataset.root="x,y"')
    assert done.returncode == 2, "shapes has no root"
    done = sweeping(tmp_path, "--config-dir", "mine", "model=unet,small", "hydra.sweep.dir='multirun/a b'")
    assert done.returncode == 0, done.stderr
    assert [model for _, _, model in jobs(tmp_path).values()] == ["unet", "small"]
    assert list(tmp_path.rglob("multirun.yaml")) == []


def test_columns_are_taken_from_the_summaries_and_written_as_markdown(tmp_path: Path) -> None:
    columns = "sweep.columns=[miou,probe/checkerboard,parameters,last/miou,boundary_iou]"
    done = sweeping(tmp_path, "seed=1,4", columns, "hydra.sweep.dir=multirun/x")
    assert done.returncode == 2
    header, *rows = (line.split() for line in done.stdout[done.stdout.index("job  overrides") :].splitlines()[:3])
    assert header[3:-2] == ["miou", "probe/checkerboard", "parameters", "last/miou", "boundary_iou"]
    assert rows[0][:-2] == ["0", "seed=1", "done", "0.1250", "2.5e-04", "7", "11.00", "-"]
    assert rows[1][:-2] == ["1", "seed=4", "exit", "75", "-", "-", "-", "-", "-"]
    written = (tmp_path / "multirun" / "x" / TABLE).read_text().splitlines()
    assert [cell.strip() for cell in written[0].strip("|").split("|")] == header
    assert set(written[1]) == set("| -")
    assert written[2].startswith("| 0 | seed=1 | done | 0.1250 | 2.5e-04 | 7 | 11.00 | - |")
    assert len(written) == 4


def test_secrets_do_not_reach_the_table(tmp_path: Path) -> None:
    words = (["weights.init=http://me:hunter2@host/w"], ["weights.init=a|b"])
    rows = cells([SweepJob(n, own, tmp_path, 0, 1.0, None) for n, own in enumerate(words)])
    assert "hunter2" not in aligned(rows) + markdown(rows)
    assert "a\\|b" in markdown(rows)


def test_results_can_be_optimised(tmp_path: Path) -> None:
    good = SweepJob(0, ["a=1"], tmp_path, 0, 1.0, 0.5)
    bad = SweepJob(1, ["a=2"], tmp_path, -9, 1.0, None)
    first, second = (result(job, 1, 2) for job in (good, bad))
    assert (first.status, first.return_value) == (JobStatus.COMPLETED, 0.5)
    assert second.status == JobStatus.FAILED
    with pytest.raises(UserError, match="1 of 2 jobs failed"):
        _ = second.return_value


def test_the_lab_goes_through_upsamplings_that_exist() -> None:
    tree = yaml.safe_load((REPOSITORY / "configs" / "experiment" / "upsampling_lab.yaml").read_text())
    named = tree["hydra"]["sweeper"]["params"]["upsample"].split(",")
    assert len(set(named)) == len(named) > 7
    assert set(named) <= {path.stem for path in (REPOSITORY / "configs" / "upsample").glob("*.yaml")}


def test_a_sweep_goes_on_by_its_command_or_its_folder_and_writes_in_no_finished_one(tmp_path: Path) -> None:
    words = ("seed=1,3,5", "hydra.sweep.dir=multirun/x")
    first, before = sweeping(tmp_path, *words), jobs_of(tmp_path)
    again = sweeping(tmp_path, "sweep.resume=multirun/x")
    assert jobs_of(tmp_path) == before, "the same processes"
    assert again.stdout[again.stdout.index("job  overrides") :] == first.stdout[first.stdout.index("job  overrides") :]
    assert again.stdout.count("skipped") == 3
    other = sweeping(tmp_path, "seed=5,1", "hydra.sweep.dir=multirun/x")
    assert other.returncode == 2
    assert "holds a job of other settings" in other.stderr
    assert jobs_of(tmp_path) == before
    retried = sweeping(tmp_path, *words, "sweep.retry=true")
    assert retried.stdout.count("skipped") == 2
    assert [n for n, job in jobs_of(tmp_path).items() if job != before[n]] == [1]


def jobs_of(folder: Path) -> dict[int, list[Any]]:
    return {int(p.parent.name): json.loads(p.read_text()) for p in (folder / "multirun" / "x").glob("*/job.json")}


@pytest.mark.slow
@pytest.mark.parametrize("parallel", [1, 2])
@pytest.mark.parametrize("by_folder", [False, True])
def test_a_killed_sweep_of_eight_ends_with_the_table_of_an_undisturbed_one(
    tmp_path: Path, parallel: int, by_folder: bool
) -> None:
    words = ("seed=1,5,6,7,8,9,10,11", "hydra.sweep.dir=multirun/x", f"sweep.parallel={parallel}")
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole, folder = sweeping(tmp_path / "whole", *words), tmp_path / "killed"
    (folder / "program.py").write_text(PROGRAM)
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "program.py", "--multirun", *words]
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("job 3:"):
                process.kill()
                break
    again = sweeping(folder, *(["sweep.resume=multirun/x"] if by_folder else words))
    assert again.returncode == whole.returncode == 0, again.stderr
    assert 3 <= again.stdout.count("skipped") + again.stdout.count("goes on") + parallel - 1 < 8
    assert table(again.stdout) == table(whole.stdout)
    assert len(table(again.stdout)) == 8


def table(text: str) -> list[list[str]]:
    """Return the rows without seconds and folder."""
    return [line.split()[:-2] for line in text[text.index("job  overrides") :].splitlines()[1:9]]


def test_an_evaluation_has_the_score_of_its_metrics_json(tmp_path: Path) -> None:
    facts = {"checkpoint": "a", "step": 3, "monitor": "miou", "mode": "max", "metrics": {"miou": 0.25, "iou/car": 0.5}}
    for number, score in enumerate((0.25, 0.75)):
        (tmp_path / str(number)).mkdir()
        facts["metrics"] = {"miou": score, "iou/car": 0.5}
        (tmp_path / str(number) / "metrics.json").write_text(json.dumps(facts))
    done = [ended(number, [f"ckpt={number}"], tmp_path / str(number), 0, 1.0) for number in (0, 1)]
    assert winner(done) == "best of 2 by miou: job 1, ckpt=1, 0.7500"
    assert done[0].scores["iou/car"] == 0.5
    (tmp_path / "0" / "metrics.json").write_text("[]")
    assert ended(0, [], tmp_path / "0", 0, 1.0).value is None
