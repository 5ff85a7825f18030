"""Values of environment variables behind settings: compared when a run or a sweep goes on, and never written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from densepred.errors import UserError
from densepred.rundir import variables
from densepred.rundir.provenance import as_written, flatten
from densepred.settings import TrainSettings
from densepred.sweep import ledger
from hydra_plugins.densepred_processes import Processes
from tests import running

RATE = "optimizer.lr='${oc.decode:${oc.env:PLANTED_RATE}}'"


def config() -> DictConfig:
    return OmegaConf.create(
        {
            "optimizer": {"lr": "${oc.decode:${oc.env:RATE}}"},
            "dataset": {"user": "${oc.env:NAME}", "token": "${oc.env:TOKEN}", "sizes": [1, "${oc.env:RATE}"]},
            "logger": {"wandb": {"entity": "${oc.env:NAME}"}},
            "copy": "${dataset.user}",
            "seed": 1,
        }
    )


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RATE": "0.1", "NAME": "someone-there", "TOKEN": "abc123"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(variables, "ROUNDS", 10)


def differing(recorded: dict[str, object], *allowed: str) -> dict[str, object]:
    written = flatten(as_written(config()))
    return dict(variables.changes({"variables": recorded}, variables.behind(config()), written, allowed))


def test_values_are_compared_and_those_that_may_be_secret_are_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    found = variables.behind(config())
    assert found == {"optimizer.lr": 0.1, "dataset.user": "someone-there", "dataset.sizes": [1, "0.1"]}
    recorded = json.loads(json.dumps(variables.record(found)))
    assert recorded["optimizer.lr"] == [0.1]
    assert "someone" not in json.dumps(recorded)
    assert recorded["dataset.user"] != variables.record(found)["dataset.user"], "salted"
    assert differing(recorded) == {}
    monkeypatch.setenv("TOKEN", "another")
    assert differing(recorded) == {}, "a login may be replaced"
    monkeypatch.setenv("NAME", "someone-else")
    with pytest.raises(
        UserError, match=r"^dataset\.user: comes from .* NAME; the run began with another value; set NAME"
    ) as error:
        differing(recorded)
    assert "someone" not in str(error.value)
    assert differing(recorded, "dataset") == {"dataset.user": (None, "someone-else")}


def test_a_run_goes_on_with_the_values_of_its_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    monkeypatch.setenv("PLANTED_RATE", "0.01")
    assert running.train(run, RATE, "trainer.max_steps=1") == 0
    monkeypatch.setenv("PLANTED_RATE", "0.5")
    again = (RATE, "trainer.max_steps=2", f"trainer.resume={run}")
    with pytest.raises(
        UserError, match=r"optimizer\.lr: .* PLANTED_RATE; the run began with 0\.01 and would go on with 0\.5"
    ):
        running.train(run, *again, "trainer.allow=[trainer.max_steps]")
    assert running.train(run, *again, "trainer.allow=[trainer.max_steps,optimizer.lr]") == 0
    assert json.loads((run / "checkpoints/2/state.json").read_text())["variables"] == {"optimizer.lr": [0.5]}


def test_a_checkpoint_without_values_is_named() -> None:
    assert variables.unrecorded({}, {}) == []
    assert variables.unrecorded({"variables": {}}, {"seed": 1}) == []
    assert "not compared" in variables.unrecorded({}, {"seed": 1})[0]


def test_a_job_of_a_sweep_is_another_one_with_another_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ledger.identity(config())
    assert before == ledger.identity(config())
    (tmp_path / "0").mkdir()
    sweep = ledger.Ledger(tmp_path)
    sweep.write(ledger.Entry(0, [], before, "done", "0"))
    monkeypatch.setenv("RATE", "0.2")
    with pytest.raises(
        UserError, match="holds a job of other settings, or of other values of RATE, NAME; give another"
    ):
        sweep.former(tmp_path / "0", ledger.identity(config()), variables.names(config()))
    monkeypatch.setenv("RATE", "0.1")
    monkeypatch.setenv("TOKEN", "another")
    assert ledger.identity(config()) == before


def test_a_sweep_of_a_config_with_another_name_is_one_of_its_command(tmp_path: Path) -> None:
    sweep = Processes()
    own = OmegaConf.structured(TrainSettings)
    OmegaConf.set_struct(own, False)
    own.hydra = {"job": {"config_name": "mine"}, "sweep": {"dir": str(tmp_path)}}
    sweep.setup(hydra_context=None, task_function=None, config=own)  # pyright: ignore[reportArgumentType]
    assert sweep.command == "train"
