"""Commands as a shell sees them: output, exit codes, folders."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.errors import HydraException

from densepred.cli import claim
from tests import forked
from tests.conftest import PATIENCE, REPOSITORY


def test_two_runs_never_claim_one_folder(tmp_path: Path) -> None:
    claimed = [claim.claim(tmp_path / "runs" / "a") for _ in range(20)]
    assert len(set(claimed)) == 20
    assert all(path.is_dir() for path in claimed)


def test_the_current_folder_is_a_run_if_it_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert claim.claim(Path()) == Path()
    (tmp_path / "here" / "notes").touch()
    assert claim.claim(Path()) == tmp_path / "here_1"


@pytest.mark.slow
def test_processes_that_start_at_once_get_folders_of_their_own(tmp_path: Path) -> None:
    for attempt in range(20):
        children = []
        for child in range(2):
            children.append(os.fork())
            if children[-1] == 0:
                (claim.claim(tmp_path / "runs" / str(attempt)) / str(child)).touch()
                os._exit(0)
        assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    found = [len(list(folder.iterdir())) for folder in (tmp_path / "runs").iterdir()]
    assert found == [1] * 40


@pytest.mark.parametrize("signaled", [True, False])
def test_an_end_right_after_its_folder_was_made_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signaled: bool
) -> None:
    def end(*arguments: Any, **more: Any) -> None:
        assert (tmp_path / "run").is_dir()
        if not signaled:
            raise HydraException("no such handler")
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("hydra.core.utils.configure_log", end)
    code, _, err = forked.run("train", "hydra.run.dir=run", folder=tmp_path)
    assert (code, err.count("\n")) == (130 if signaled else 2, 1), err
    assert not (tmp_path / "run").exists()


SCRIPT = """
import sys
from densepred.cli import command
def function(cfg):
    {body}
command.run(function, "{name}", free=["codec"] if "{name}" == "predict" else ())
"""


@pytest.fixture
def ran(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command with the function `body`, in an empty folder."""

    def run(body: str, *arguments: str, name: str = "train", **environment: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", SCRIPT.format(body=body, name=name), *arguments]
        env = {**os.environ, "PYTHONPATH": str(REPOSITORY), **environment}
        return subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=PATIENCE)

    return run


def test_the_exit_code_and_the_folder_come_from_the_function(ran: Any, tmp_path: Path) -> None:
    done = ran("print(command.folder(), command.choices()['model']); return 75", "model=unet")
    assert done.returncode == 75
    assert done.stderr == ""
    folder, model = done.stdout.split()
    assert model == "unet"
    assert Path(folder).parent == tmp_path / "runs" / "semantic-shapes-unet"


def test_a_notice_is_one_line_whichever_command_gives_it(ran: Any) -> None:
    body = "import warnings; from densepred.errors import Notice; warnings.warn('a fact', Notice)"
    assert ran(body, "ckpt=c", "input=i", name="predict").stderr == "warning: a fact\n"


def test_below_a_free_key_anything_may_be_set_and_nowhere_else(ran: Any) -> None:
    given = ("ckpt=c", "input=i", "codec.threshold=0.4", "codec={split: distance}")
    done = ran("print(dict(cfg.codec))", *given, name="predict")
    assert (done.stdout, done.stderr) == ("{'threshold': 0.4, 'split': 'distance'}\n", "")
    done = ran("print(cfg)", "codec.threshold=0.4")
    assert done.returncode == 2
    assert done.stderr.startswith("error: codec.threshold: there is no such key")


def test_a_user_error_is_one_line_and_leaves_no_folder(ran: Any, tmp_path: Path) -> None:
    done = ran("from densepred.errors import UserError; raise UserError('a\\nb')")
    assert (done.returncode, done.stderr) == (2, "error: a; b\n")
    assert list(tmp_path.rglob("*-*")) == []


def test_an_exit_of_code_of_the_user_is_one_line_and_never_success(ran: Any) -> None:
    done = ran("sys.exit(0)")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: <string>, line 5: exit is called in the middle of the work, with code 0; raise an error there\n"
    )


def test_python_without_assertions_is_refused(ran: Any) -> None:
    done = ran("print('begun')", PYTHONOPTIMIZE="1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: python -O: ")


def test_our_own_mistake_is_one_line_with_the_traceback_in_the_log(ran: Any, tmp_path: Path) -> None:
    done = ran("raise KeyError('oh')", "hydra.run.dir=out")
    assert done.returncode == 1
    assert done.stderr.startswith("error: KeyError: 'oh'; this is a mistake in densepred")
    assert done.stderr.count("\n") == 1
    assert "Traceback" in (tmp_path / "out" / "train.log").read_text()
    shown = ran("raise KeyError('oh')", HYDRA_FULL_ERROR="1")
    assert "Traceback" in shown.stderr


def test_a_wrong_key_exits_2_with_one_line(ran: Any) -> None:
    done = ran("return 0", "trianer.epochs=3")
    assert done.returncode == 2
    assert done.stderr == "error: trianer.epochs: there is no such key; type trainer.epochs=3\n"


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["--epochs=3"], "--epochs: there is no such flag; type trainer.epochs=3"),
        (["-cn", "eval"], "--config-name eval: it belongs to another command; type densepred-eval instead"),
        (
            ["optimizer.lr=0,01"],
            "optimizer.lr: 0,01; decimals have a point: type optimizer.lr=0.01, or add --multirun for one run per value",  # noqa: E501
        ),
        (
            ["data.crop=256,192"],
            "data.crop: 256,192; type 'data.crop=[256,192]' for a list, or add --multirun for one run per value",
        ),
        (["model.encoder=resnet18"], "model.encoder: encoder is a group; type encoder=resnet18"),
    ],
)
def test_a_stumble_exits_2_with_a_command_to_type(ran: Any, tmp_path: Path, words: list[str], answer: str) -> None:
    done = ran("return 0", *words)
    assert (done.returncode, done.stderr) == (2, f"error: {answer}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_list_of_options_in_a_config_file_is_refused(ran: Any, tmp_path: Path) -> None:
    """Hydra merges them: the first loss with the keys of the second."""
    (tmp_path / "mine/experiment").mkdir(parents=True)
    (tmp_path / "mine/experiment/two.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /loss: [ce, dice]\n  - override /metric: [confusion, trimap]\n"
    )
    done = ran("print(cfg)", "--config-dir", "mine", "experiment=two")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: loss: the defaults of a config file give a list, and loss takes one option")


def test_a_taken_folder_gets_a_suffix_but_a_resumed_one_is_kept(ran: Any, tmp_path: Path) -> None:
    for expected in ("out", "out_1", "out_2"):
        assert ran("print(command.folder().name)", "hydra.run.dir=out").stdout.strip() == expected
    assert ran("print(command.folder().name)", "trainer.resume=out").stdout.strip() == "out"


def test_configs_can_be_shown_without_running(ran: Any, tmp_path: Path) -> None:
    done = ran("raise SystemExit(9)", "--cfg", "job", "trainer.max_steps=3")
    assert done.returncode == 0
    assert "max_steps: 3" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_help_is_printed_within_a_second_of_computing() -> None:
    before = os.times()
    words = [sys.executable, "-m", "densepred.train", "--help"]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE)
    after = os.times()
    assert done.returncode == 0
    assert "encoder" in done.stdout
    assert after.children_user + after.children_system - before.children_user - before.children_system < 1


def test_a_command_that_divides_no_work_is_refused_in_several_processes(ran: Callable[..., Any]) -> None:
    places = {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "here", "MASTER_PORT": "29500"}
    done = ran("print('begun')", "ckpt=x", "input=y", name="predict", **places)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(
        "error: WORLD_SIZE=2: densepred-predict is one process, not 2; start it without torchrun"
    )
