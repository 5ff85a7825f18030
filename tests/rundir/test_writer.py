"""Files that are written in a thread are those of the moment at which they were asked for."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import cast

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from densepred.contracts import Model
from densepred.rundir.checkpoints import META
from densepred.rundir.folder import Run
from densepred.rundir.log import Log
from densepred.rundir.progress import Progress
from densepred.rundir.state import TrainState
from densepred.rundir.writer import Copies, Writer


def test_jobs_run_in_their_order_and_one_at_a_time() -> None:
    writer, seen = Writer(), list[str]()
    go = threading.Event()

    def first() -> None:
        go.wait(10)
        seen.append("first")

    writer.submit(first)
    assert seen == []  # it does not wait for the job
    go.set()
    writer.submit(lambda: seen.append("second"))
    assert seen[0] == "first"
    writer.close()
    assert seen == ["first", "second"]


def test_what_a_job_raises_comes_with_the_next_wait_and_once() -> None:
    writer = Writer()

    def fails() -> None:
        raise OSError(28, "full")

    writer.submit(fails)
    with pytest.raises(OSError, match="full"):
        writer.wait()
    writer.wait()
    writer.close()


def test_copies_share_what_shares_memory_and_follow_no_later_change() -> None:
    value = torch.arange(6.0)
    copies = Copies()
    one, two = copies.of({"a": value}), copies.of({"b": value, "part": value[:3], "turned": value.view(2, 3).T})
    value.zero_()
    assert one["a"] is two["b"]
    assert torch.equal(one["a"], torch.arange(6.0))
    assert torch.equal(two["part"], torch.arange(3.0))
    assert torch.equal(two["turned"], torch.arange(6.0).view(2, 3).T)


def test_a_checkpoint_holds_the_state_at_its_step_though_training_went_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    state = TrainState(cast(Model, model), Progress("miou", "max"), optimizer=optimizer)
    run = Run(tmp_path, {"info": {}}, {}, Log(tmp_path), 2)
    go, save = threading.Event(), run.checkpoints.save

    def later(*args: object, **named: object) -> None:
        assert go.wait(10)
        save(*args, **named)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(run.checkpoints, "save", later)
    step(state)
    expected = {name: value.clone() for name, value in model.state_dict().items()}
    moment = optimizer.state[model.weight]["exp_avg"].clone()
    state.progress.best = {"step": 1, "value": 0.5}
    run.save(state)
    step(state)
    state.progress.best["value"] = 0.9
    go.set()
    run.wait()
    for file in (tmp_path / "checkpoints" / "1" / "weights.safetensors", tmp_path / "last.safetensors"):
        found = load_file(file)
        assert all(torch.equal(found[name], value) for name, value in expected.items())
    stored = load_file(tmp_path / "checkpoints" / "1" / "state.safetensors")
    assert torch.equal(stored["optimizer.0.exp_avg"], moment)
    meta = json.loads((tmp_path / "checkpoints" / "1" / META).read_text())
    assert (meta["progress"]["step"], meta["progress"]["best"]["value"]) == (1, 0.5)
    run.writer.close()


def step(state: TrainState) -> None:
    assert state.optimizer is not None
    state.model(torch.ones(1, 3)).sum().backward()
    state.optimizer.step()
    state.progress.step += 1
