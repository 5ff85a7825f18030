"""Hostile files run nothing, write nothing, open no connection and read no environment: Python's audit events tell."""

from __future__ import annotations

import importlib
import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_repository import ConfigRepository

from densepred.errors import UserError
from densepred.jobs.parts import stored, task_and_model
from densepred.types import Info
from densepred.weights.file import load_model, save_weights
from tests import alarm, composing
from tests.fuzz import hostile
from tests.fuzz.readers import KINDS

INFO = Info(classes=("sky", "ball"), palette=((0, 0, 0), (9, 9, 9)))
SECRET = "planted-in-the-environment"
COUNT = 100


@pytest.fixture(scope="module", autouse=True)
def ready(plain: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Read a valid file of each kind, so that all modules are imported before the alarm listens."""
    importlib.import_module("sympy")  # torch imports it late, and it writes its methods as text
    config = plain("model=unet")
    _, model = task_and_model(config["task"], config["model"], INFO)
    about = {"model": stored(config["model"]), "task": stored(config["task"]), "info": INFO.to_json()}
    hostile.prepare(dict(model.state_dict()), about)
    folder = tmp_path_factory.mktemp("valid")
    save_weights(folder / "w.safetensors", dict(model.state_dict()), about)
    load_model(folder / "w.safetensors")
    for name, kind in KINDS.items():
        (folder / name).mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind.read(kind.write(folder / name, 0))


@pytest.fixture(scope="module", autouse=True)
def configurations_are_read_from_their_files() -> Iterator[None]:
    """Take off the tests' own cache of configurations: it copies them by pickle, which the alarm hears."""
    cached, ConfigRepository.load_config = ConfigRepository.load_config, composing._read
    yield
    ConfigRepository.load_config = cached


def breach(number: int, folder: Path) -> str | None:
    """Read the hostile file of this number; return what it achieved, None if it was refused or did nothing."""
    attack = hostile.ATTACKS[number % len(hostile.ATTACKS)]
    folder.mkdir(parents=True)
    (folder.parent / "secret.png").write_bytes(b"secret")
    path, read = attack(folder, random.Random(number))
    before = set(folder.parent.rglob("*"))
    told = ""
    with warnings.catch_warnings(record=True) as notes, alarm.listening_to() as heard:
        warnings.simplefilter("always")
        try:
            told = repr(read(path))
        except UserError as error:
            told = str(error)
    told += " ".join(str(note.message) for note in notes)
    made = [str(place) for place in folder.parent.rglob("*") if place not in before]
    facts = [*heard, *made, *([f"told {SECRET}"] if SECRET in told else [])]
    return f"{attack.__name__} {number}: {facts}" if facts else None


@pytest.mark.parametrize("start", range(0, COUNT, 10))
def test_hostile_files_achieve_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: int) -> None:
    monkeypatch.setenv(hostile.VARIABLE, SECRET)
    assert [found for i in range(start, start + 10) if (found := breach(i, tmp_path / str(i) / "data"))] == []


@pytest.mark.slow
def test_1000_hostile_files_achieve_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(hostile.VARIABLE, SECRET)
    assert [found for i in range(COUNT, COUNT + 1000) if (found := breach(i, tmp_path / str(i) / "data"))] == []


def test_the_alarm_hears_what_a_hostile_file_would_do(tmp_path: Path) -> None:
    import os
    import pickle
    import socket

    with alarm.listening_to() as heard:
        pickle.loads(pickle.dumps(hostile.Bomb(hostile.touch(tmp_path))))
        (tmp_path / "x").write_text("x")
        with pytest.raises(ConnectionRefusedError), socket.socket() as plug:
            plug.connect(("127.0.0.1", 9))
        eval(compile("1 + 1", "<hostile>", "eval"))
        os.posix_spawn("/bin/true", ["true"], {})
    text = " ".join(heard)
    assert all(word in text for word in ("os.system", "open", "socket.connect", "<hostile>", "os.posix_spawn")), text
