"""The search for settings by Optuna."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from densepred.errors import UserError
from densepred.rundir import pruning
from densepred.sweep.job import SweepJob
from tests.conftest import PATIENCE, REPOSITORY, composed
from tests.sweep.test_launcher import table

optuna = pytest.importorskip("optuna")

PROGRAM = """
import json, time
from densepred.cli import command
def function(cfg):
    folder, score = command.folder(), 1 - abs(cfg.optimizer.lr - 0.5)
    with (folder / "metrics.jsonl").open("w") as file:
        for step in range(1, 4):
            file.write(json.dumps({"step": step, "valid/miou": score * step}) + "\\\\n")
    (folder / "summary.json").write_text(json.dumps({"monitor": "miou", "mode": "max", "best": {"miou": score * 3}}))
if __name__ == "__main__":
    command.run(function, "train")
""".replace("\\\\", "\\")


def searching(folder: Path, number: int, words: str = "optimizer.lr=interval(0, 1)") -> Any:
    """A search in a folder, with a launcher that runs nothing."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from densepred.sweep import space
    from densepred.sweep.search import Search

    search = Search(lambda config: ("miou", "max"), number, "tpe", 0, None, "median", 2, 0, {})
    search.launcher = SimpleNamespace(  # pyright: ignore[reportAttributeAccessIssue]
        folder=folder,
        running={},
        planned=lambda number, words: SimpleNamespace(number=number, folder=folder / str(number)),
    )
    search.space, search.fixed = space.split(OverridesParser.create().parse_overrides([words]))
    search.monitor = "miou"
    search.study = search._opened("maximize")
    return search


def ended(search: Any, number: int) -> None:
    value = 1 - abs(search.study.trials[number].params["optimizer.lr"] - 0.3)
    search._tell(SweepJob(number, [], search.launcher.folder, 0, 1.0, value))


@pytest.mark.slow
def test_a_search_that_was_killed_draws_the_trials_of_an_undisturbed_one(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole, cut = searching(tmp_path / "whole", 5), searching(tmp_path / "cut", 5)
    for plan in whole._plans():
        ended(whole, plan.number)
    for plan in cut._plans():
        if plan.number == 3:
            break  # killed while it runs
        ended(cut, plan.number)
    again = searching(tmp_path / "cut", 5)
    for plan in again._plans():
        ended(again, plan.number)
    assert len(again.study.trials) == 5
    assert [trial.params for trial in again.study.trials] == [trial.params for trial in whole.study.trials]
    with pytest.raises(UserError, match="is a search of other settings"):
        searching(tmp_path / "cut", 20, "optimizer.lr=interval(0, 2)")


def test_a_trial_below_the_median_is_asked_to_end_and_recorded_as_pruned(tmp_path: Path) -> None:
    search = searching(tmp_path, 3)
    for plan, score in zip(search._plans(), (0.8, 0.7, 0.1), strict=True):
        plan.folder.mkdir()
        (plan.folder / "metrics.jsonl").write_text(json.dumps({"step": 4, "valid/miou": score}) + "\n")
        search.launcher.running = {plan.number: plan}
        search._report()
        asked = pruning.asked(plan.folder)
        assert asked == (score == 0.1)
        search._tell(SweepJob(plan.number, [], plan.folder, 0, 1.0, score, pruned=asked))
    assert [trial.state.name for trial in search.study.trials] == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert search.study.best_value == 0.8


def test_the_score_of_a_training_is_known_before_it() -> None:
    from densepred.jobs.monitored import monitored

    assert monitored(composed()) == ("miou", "max")
    with pytest.raises(UserError, match="no metric computes 'mio'"):
        monitored(composed("trainer.monitor=mio"))


def test_settings_of_a_search_are_checked() -> None:
    from densepred.sweep.search import Search

    with pytest.raises(UserError, match=r"hydra\.sweeper\.sampler=grid: give one of tpe, random"):
        Search(lambda config: ("miou", "max"), 3, "grid", 0, None, "median", 2, 0, {})


@pytest.mark.slow
@pytest.mark.parametrize("parallel", [1, 2])
def test_a_killed_search_goes_on_by_the_same_command(tmp_path: Path, parallel: int) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    words = [
        "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=6",
        "optimizer.lr=interval(0.0, 1.0)",
        "hydra.sweeper.pruner=none",
    ]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}

    def command(name: str) -> list[str]:
        return [sys.executable, "program.py", "-m", *words, f"hydra.sweep.dir={name}", f"sweep.parallel={parallel}"]

    with subprocess.Popen(command("cut"), cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("job 3:"):
                process.kill()
                break
    runs = [
        subprocess.run(command(name), cwd=tmp_path, env=env, capture_output=True, text=True, timeout=PATIENCE)
        for name in ("cut", "whole")
    ]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr
    tables = [table(run.stdout)[:6] for run in runs]
    assert [row[0] for row in tables[0]] == list("012345")
    if parallel == 1:  # several at a time draw by what has ended until then
        assert tables[0] == tables[1]
