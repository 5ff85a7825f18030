"""The state of a run: what a checkpoint holds of it, and that it comes back."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import nn
from torch.distributed.checkpoint.stateful import Stateful

from densepred.contracts import Model
from densepred.engine.amp import gradient_scaler
from densepred.engine.ema import MovingAverage
from densepred.errors import UserError
from densepred.rundir.progress import Progress
from densepred.rundir.state import TrainState

CPU = torch.device("cpu")


def begun() -> TrainState:
    torch.manual_seed(3)
    model = cast(Model, nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))
    return TrainState(
        model,
        Progress("miou", "max"),
        optimizer=torch.optim.AdamW(model.parameters(), lr=0.1),
        average=MovingAverage(model, 0.9),
        scaler=gradient_scaler("fp32", CPU),
    )


def trained(steps: int) -> TrainState:
    state = begun()
    for step in range(steps):
        advance(state, step)
    return state


def advance(state: TrainState, step: int) -> None:
    assert state.optimizer is not None
    assert state.average is not None
    images = torch.randn(5, 3, generator=torch.Generator().manual_seed(step))
    loss = cast(Any, state.model)(images).square().mean() + state.model.get_parameter("1.bias").sum()
    loss.backward()
    state.optimizer.step()
    state.optimizer.zero_grad()
    state.average.update_parameters(state.model)
    state.meter.add({"total": loss.detach()}, 5)
    state.progress.step += 1


def test_a_state_has_the_shape_of_torch_distributed() -> None:
    assert isinstance(begun(), Stateful)


def test_a_state_that_comes_back_goes_on_as_if_it_had_never_left() -> None:
    whole, other = trained(5), begun()
    other.load_state_dict(trained(3).state_dict())
    for step in (3, 4):
        advance(other, step)
    first, second = whole.state_dict(), other.state_dict()
    assert first["meta"] == second["meta"]
    for part in ("weights", "tensors"):
        assert first[part].keys() == second[part].keys()
        assert all(torch.equal(value, second[part][name]) for name, value in first[part].items())


def test_the_names_in_a_checkpoint_are_those_of_older_runs() -> None:
    state = trained(1).state_dict()
    names = {name for name in state["tensors"] if not name.startswith("average.")}
    slots = {f"optimizer.{index}.{slot}" for index in range(4) for slot in ("step", "exp_avg", "exp_avg_sq")}
    assert names == slots | {"meter.total"}
    average = {name for name in state["tensors"] if name.startswith("average.")}
    assert average == {"average.n_averaged", *(f"average.module.{name}" for name in state["weights"])}
    assert state["meta"].keys() == {"format", "progress", "meter", "scaler", "loader", "parameters", "tensors"}
    assert state["meta"]["parameters"] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert state["meta"]["meter"].keys() == {"steps", "images", "total", "total_steps"}


@pytest.mark.parametrize("lost", ["progress", "meter", "scaler"])
def test_a_checkpoint_without_its_counters_is_refused(lost: str) -> None:
    state = begun().state_dict()
    del state["meta"][lost]
    with pytest.raises(UserError, match=f"lacks {lost}"):
        begun().load_state_dict(state)


def test_older_names_of_counters_are_read() -> None:
    state, other = trained(2).state_dict(), begun()
    del state["meta"]["progress"]["mode"]
    state["meta"]["progress"]["better"] = "min"
    other.load_state_dict(state)
    assert (other.progress.mode, other.progress.step) == ("min", 2)


def test_a_closed_form_has_weights_and_counters_alone() -> None:
    state = TrainState(cast(Model, nn.Linear(2, 2)), Progress("mse", "min")).state_dict()
    assert set(state["weights"]) == {"weight", "bias"}
    assert state["tensors"] == {}
    assert state["meta"]["scaler"] == {}


def test_momentum_begins_at_zero_in_a_run_that_had_none() -> None:
    def with_momentum(value: float) -> TrainState:
        state = begun()
        state.optimizer = torch.optim.SGD(state.model.parameters(), lr=0.1, momentum=value)
        return state

    plain = with_momentum(0.0)
    advance(plain, 0)
    (note,) = with_momentum(0.9).load_state_dict(plain.state_dict(), ["optimizer.momentum"])
    assert note == "optimizer.momentum: the run had none, so the momentum begins at zero"
    with pytest.raises(UserError, match="lacks optimizer"):
        with_momentum(0.9).load_state_dict(plain.state_dict())


def test_frozen_parts_stay_in_evaluation_mode() -> None:
    state = begun()
    state.frozen = [state.model.get_submodule("1")]
    state.model.eval()
    state.train_mode()
    assert state.model.training
    assert state.model.get_submodule("0").training
    assert not state.model.get_submodule("1").training


def test_moments_come_back_with_the_strides_of_their_weights() -> None:
    """Files keep no strides; optimizers of many tensors at once need those of the weights."""

    def state() -> TrainState:
        torch.manual_seed(0)
        model = cast(Model, nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last))
        optimizer = torch.optim.AdamW(model.parameters(), amsgrad=True)
        cast(Any, model)(torch.randn(2, 3, 5, 5)).square().sum().backward()
        optimizer.step()
        return TrainState(model, Progress("miou", "max"), optimizer=optimizer)

    first, second = state(), state()
    stored = first.state_dict()
    stored["tensors"] = {name: value.contiguous() for name, value in stored["tensors"].items()}
    second.load_state_dict(stored)
    assert second.optimizer is not None
    assert first.optimizer is not None
    for parameter, other in zip(second.model.parameters(), first.model.parameters(), strict=True):
        slots = second.optimizer.state[parameter]
        assert {slots[name].stride() for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")} == {parameter.stride()}
        assert all(torch.equal(value, first.optimizer.state[other][name]) for name, value in slots.items())
