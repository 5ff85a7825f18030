"""Ctrl-C in the middle of predict and eval: one line, exit code 130, and results that are whole or absent."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from densepred.metric.confusion import Confusion
from densepred.results.files import Results
from tests import forked, running

IMAGES = 4


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interrupted") / "run"
    assert running.train(folder, "trainer.max_steps=1") == 0
    return folder


def pressing(method: Callable[..., Any], call: int) -> Callable[..., Any]:
    """Return a method that presses Ctrl-C at its `call`-th call, in a process that is forked later."""
    calls = 0

    def pressed(self: Any, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGINT)
        return method(self, *arguments)

    return pressed


def told(errors: str) -> list[str]:
    """Return the lines about the interrupt, without those that a command prints in any case."""
    return [line for line in errors.splitlines() if not line.startswith(("note: ", "warning: "))]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_ctrl_c_in_predict_keeps_whole_results_and_the_same_command_completes_them(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    for number in range(IMAGES):
        pixels = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"in/{number}.png")
    words = (f"ckpt={run}", "input=in")
    assert forked.run("predict", *words, "output=whole", folder=tmp_path)[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(Results, "add", pressing(Results.add, 3))
        code, _, errors = forked.run("predict", *words, "output=cut", folder=tmp_path)
    assert code == 130, errors
    [line] = told(errors)
    assert line == "stopped by SIGINT; 2 of 4 images are predicted; type the command again for all of them"
    whole, cut = files(tmp_path / "whole"), files(tmp_path / "cut")
    assert sorted(name for name in cut if name.startswith("labels/")) == ["labels/0.png", "labels/1.png"]
    assert all(whole[name] == content for name, content in cut.items() if name.startswith(("labels/", "overlays/")))
    assert not [name for name in cut if name.endswith(".tmp")]
    assert forked.run("predict", *words, "output=cut", folder=tmp_path)[0] == 0
    again = files(tmp_path / "cut")
    assert again.keys() == whole.keys()
    assert all(again[name] == whole[name] for name in whole if name != "predict.json")


@pytest.mark.slow
def test_a_prediction_that_is_killed_ten_times_ends_with_the_files_of_an_undisturbed_one(
    run: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for number in range(60):
        pixels = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"in/{number}.png")
    words = (f"ckpt={run}", "input=in", "probabilities=true")
    begin = time.monotonic()
    assert forked.run("predict", *words, "output=whole", folder=tmp_path)[0] == 0
    seconds, cut = time.monotonic() - begin, 0
    for trial in range(10):
        begun = forked.Started("predict", (*words, "output=cut"), tmp_path, {})
        time.sleep(random.Random(trial).uniform(0, seconds))
        if begun.ended() is None:
            os.kill(begun.pid, signal.SIGKILL)
            cut += begun.wait()[0] != 0
    assert cut > 4
    assert forked.run("predict", *words, "output=cut", folder=tmp_path)[0] == 0
    whole, again = files(tmp_path / "whole"), files(tmp_path / "cut")
    assert again.keys() == whole.keys()
    assert all(again[name] == whole[name] for name in whole if name != "predict.json")


def test_ctrl_c_in_eval_leaves_no_scores(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Confusion, "add", pressing(Confusion.add, 2))
    code, out, errors = forked.run("eval", f"ckpt={run}", "output=scores", folder=tmp_path)
    assert code == 130, errors
    assert told(errors) == ["stopped by SIGINT; nothing was kept; type the command again"]
    assert "miou" not in out
    assert not (tmp_path / "scores").exists()
