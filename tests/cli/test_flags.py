"""Flags: versions, one line about a wrong one, and Hydra's parser on Python 3.14."""

from __future__ import annotations

import argparse
import importlib
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.global_hydra import GlobalHydra

import densepred
from densepred.cli import flags
from densepred.errors import UserError
from tests import cases, forked
from tests.conftest import REPOSITORY

COMMANDS = ("train", "eval", "predict", "import_", "export", "report", "check", "convert")


@pytest.mark.parametrize("name", cases.few(COMMANDS, ["train", "check"]))
def test_the_version_is_printed_without_torch(name: str) -> None:
    code = (
        f"import sys; sys.argv = ['x', '--version']; import {forked.module(name)} as module\n"
        "try: module.main()\n"
        "finally: assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"densepred {densepred.__version__}",
        f"torch {version('torch')}",
        f"hydra-core {version('hydra-core')}",
    ]


@pytest.fixture
def checked_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """`argparse` of Python 3.14, which expands the help of a flag as soon as it is added."""

    def _check_help(self: Any, action: argparse.Action) -> None:
        if action.help and hasattr(self, "_get_formatter"):
            formatter = self._get_formatter()
            try:
                text = formatter._get_help_string(action)
                if "%" in text:
                    formatter._expand_help(action)
            except (ValueError, TypeError, KeyError) as exc:
                raise ValueError("badly formed help string") from exc

    add = argparse.ArgumentParser._add_action

    def _add_action(self: Any, action: argparse.Action) -> argparse.Action:
        _check_help(self, action)
        return add(self, action)

    monkeypatch.setattr(argparse.ArgumentParser, "_check_help", _check_help, raising=False)
    if sys.version_info < (3, 14):
        monkeypatch.setattr(argparse.ArgumentParser, "_add_action", _add_action)


@pytest.mark.usefixtures("checked_help")
def test_hydras_own_parser_is_refused_by_python_3_14() -> None:
    with pytest.raises(ValueError, match="badly formed help string"):
        get_args_parser()


@pytest.mark.usefixtures("checked_help")
def test_our_parser_is_accepted_by_python_3_14() -> None:
    found = flags.parser().parse_args(["--cfg", "job", "model=unet", "seed=1"])
    assert (found.cfg, found.overrides) == ("job", ["model=unet", "seed=1"])


def test_our_parser_has_the_flags_and_the_help_of_hydras() -> None:
    ours, theirs = (p._option_string_actions for p in (flags.parser(), get_args_parser()))
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert str(ours[name].help) == str(theirs[name].help)
        assert ours[name].nargs == theirs[name].nargs


def test_hydra_uses_our_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("hydra.main")
    monkeypatch.setattr(module, "get_args_parser", get_args_parser)
    flags.register()
    assert isinstance(module.get_args_parser(), flags.Parser)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--cfg"], "--cfg/-c: it needs a value; see --help"),
        (["--cfg", "jobs"], "choose from"),
        (["--resolve"], "type --cfg job --resolve"),
        (["--cfg", "job", "-m"], "--cfg and --multirun: choose one of them"),
        (["--experimental-rerun", "x.pickle"], "type trainer.resume=RUN"),
    ],
)
def test_a_flag_that_does_not_fit_is_one_line(arguments: list[str], answer: str) -> None:
    with pytest.raises(UserError) as caught:
        flags.parser().parse_args(arguments)
    assert answer in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_flag_is_found_and_answered() -> None:
    assert flags.unknown(["--cfg", "job", "-m", "--config-dir=x"]) is None
    assert flags.unknown(["-m", "--multrun"]) == "--multrun"
    assert flags.refusal("--multrun", None) == "--multrun: there is no such flag; did you mean --multirun?"
    assert flags.refusal("--zzz", None) == "--zzz: there is no such flag; see --help"
    assert flags.refusal("--lr=1", "type optimizer.lr=1") == "--lr: there is no such flag; type optimizer.lr=1"


def test_the_configuration_of_another_command_is_refused(tmp_path: Path) -> None:
    for given in (["-cn", "eval"], ["--config-name=eval"], ["--config-name", "eval.yaml"]):
        with pytest.raises(UserError, match="type densepred-eval instead"):
            flags.check_config(given, "train", [])
    with pytest.raises(UserError, match=r"there is no mine\.yaml; add --config-dir DIR"):
        flags.check_config(["-cn", "mine"], "train", [tmp_path])
    with pytest.raises(UserError, match="type --config-dir elsewhere"):
        flags.check_config(["--config-path=elsewhere"], "train", [])
    (tmp_path / "mine.yaml").touch()
    flags.check_config(["-cn", "mine"], "train", [tmp_path])
    flags.check_config(["-cn", "train"], "train", [])


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (None, ["hydra.run.dir=runs/x", "model=unet,fpn"]),
        (None, ["experiment=upsampling_lab"]),
        (None, ["+hydra.mode=MULTIRUN"]),
        (None, ["hydra/launcher=process", "hydra.mode=RUN"]),
        ("hydra:\n  mode: MULTIRUN\n", ["experiment=mine"]),
        ("seed: 3\n", ["experiment=mine"]),
        (None, ["model=nothing"]),
    ],
)
def test_the_mode_is_the_one_that_hydra_composes(own: str | None, words: list[str], tmp_path: Path) -> None:
    path = create_config_search_path(str(REPOSITORY / "configs"))
    if own is not None:
        file = tmp_path / "experiment" / "mine.yaml"
        file.parent.mkdir()
        file.write_text(f"# @package _global_\n{own}", encoding="utf-8")
        path.prepend("command-line", f"file://{tmp_path}")
    GlobalHydra.instance().clear()
    hydra = Hydra.create_main_hydra2("train", path)
    try:
        expected = flags._composed_mode(hydra, "train", words)
        assert flags._mode(hydra, "train", words) == expected
    finally:
        GlobalHydra.instance().clear()
    assert (expected is not None) == ("mode:" in str(own) or "hydra.mode" in str(words))


def test_packaged_configurations_set_no_mode() -> None:
    files = sorted((REPOSITORY / "configs").rglob("*.yaml"))
    assert files
    assert not [file for file in files if re.search(r"^\s+mode: *(MULTI)?RUN", file.read_text("utf-8"), re.MULTILINE)]
