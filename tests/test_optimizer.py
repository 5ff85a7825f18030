"""Trainable parameters, learning rates and decay per part."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from densepred import optimizer
from densepred.build.instantiate import build
from densepred.errors import UserError
from densepred.optimizer import adamw, freeze, optimizer_of, parameter_groups, sgd
from tests import running
from tests.conftest import composed


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.decoder = nn.Sequential(nn.Conv2d(4, 2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(x))


def by_name(model: nn.Module, groups: list[dict]) -> dict[str, tuple[float, float]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(p)]: (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}


def test_norms_and_biases_do_not_decay() -> None:
    model = Net()
    found = by_name(model, parameter_groups(model, 0.1, 0.01, {}))
    assert found == {
        "encoder.0.weight": (0.1, 0.01),
        "encoder.0.bias": (0.1, 0.0),
        "encoder.1.weight": (0.1, 0.0),
        "encoder.1.bias": (0.1, 0.0),
        "decoder.0.weight": (0.1, 0.01),
        "decoder.0.bias": (0.1, 0.0),
    }


def test_a_part_has_its_own_factor_and_decay_and_the_longest_name_counts() -> None:
    model = Net()
    groups = {"encoder": {"lr": 0.1, "weight_decay": 0.5}, "encoder.1": {"lr": 2.0}}
    found = by_name(model, parameter_groups(model, 1.0, 0.01, groups))
    assert found["encoder.0.weight"] == (0.1, 0.5)
    assert found["encoder.1.weight"] == (2.0, 0.0)
    assert found["decoder.0.weight"] == (1.0, 0.01)


def test_frozen_parameters_are_left_out() -> None:
    model = Net()
    assert freeze(model, ["encoder"]) == [model.encoder]
    found = by_name(model, parameter_groups(model, 1.0, 0.01, {}))
    assert set(found) == {"decoder.0.weight", "decoder.0.bias"}


def test_unknown_parts_are_named_with_a_remedy() -> None:
    with pytest.raises(UserError, match=r"no part 'encodr'; did you mean encoder\?"):
        parameter_groups(Net(), 1.0, 0.0, {"encodr": {"lr": 0.1}})
    with pytest.raises(UserError, match=r"trainer\.freeze: the model has no part 'neck'; name one of encoder, decoder"):
        freeze(Net(), ["neck"])
    with pytest.raises(UserError, match="give lr"):
        parameter_groups(Net(), 1.0, 0.0, {"encoder": {"rate": 0.1}})


def test_freezing_everything_is_refused() -> None:
    model = Net()
    freeze(model, ["encoder", "decoder"])
    with pytest.raises(UserError, match=r"trainer\.freeze leaves nothing to train"):
        parameter_groups(model, 1.0, 0.0, {})


def test_the_optimizers_are_those_of_torch() -> None:
    model = Net()
    assert isinstance(adamw(model, 1e-3, [0.9, 0.99], 1e-8, 0.01, {}), torch.optim.AdamW)
    found = sgd(model, 0.1, 0.9, True, 0.0, {})
    assert isinstance(found, torch.optim.SGD)
    assert found.param_groups[0]["nesterov"] is True


def test_a_class_of_torch_trains_as_the_factory_of_the_same_name(tmp_path: Path) -> None:
    """Parts with their own rate, frozen parts and parameters without decay are the same."""
    numbers = ("optimizer.lr=0.003", "optimizer.weight_decay=0.2", "optimizer.groups={decoder: {lr: 0.5}}")
    same = (*numbers, "trainer.max_steps=3", "trainer.freeze=[encoder.levels.0]")
    assert running.train(tmp_path / "ours", *same) == 0
    assert (
        running.train(tmp_path / "theirs", *same, "optimizer._target_=torch.optim.AdamW", "+optimizer.fused=true") == 0
    )
    first, second = (running.weights(tmp_path / name) for name in ("ours", "theirs"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert running.metrics(tmp_path / "ours") == running.metrics(tmp_path / "theirs")


def test_a_yaml_of_ones_own_may_name_a_class_of_torch(tmp_path: Path) -> None:
    path = tmp_path / "optimizer" / "mine.yaml"
    path.parent.mkdir()
    path.write_text("# mine\n_target_: torch.optim.RMSprop\n_partial_: true\nlr: 0.01\nalpha: 0.9\n")
    node = composed("optimizer=mine", f"hydra.searchpath=[file://{tmp_path}]").optimizer
    model = Net()
    found = optimizer_of(model, build(OmegaConf.to_container(node), None, "optimizer"))
    assert isinstance(found, torch.optim.RMSprop)
    assert found.defaults["alpha"] == 0.9
    assert by_name(model, found.param_groups) == by_name(model, parameter_groups(model, 0.01, 0.0, None))


def test_an_optimizer_without_a_learning_rate_is_refused() -> None:
    def make(params: object, lr: float) -> torch.optim.Optimizer:
        raise AssertionError

    with pytest.raises(UserError, match=r"optimizer\.lr: make needs a learning rate"):
        optimizer_of(Net(), functools.partial(make))


@pytest.mark.parametrize(
    ("name", "options"),
    [("AdamW", {"weight_decay": 0.1}), ("Adam", {"weight_decay": 0.1}), ("SGD", {"momentum": 0.9, "nesterov": True})],
)
def test_steps_without_the_compiler_are_those_of_torch(name: str, options: dict[str, Any]) -> None:
    found = []
    for kind in (getattr(optimizer, name), getattr(torch.optim, name)):
        torch.manual_seed(0)
        net = Net()
        groups = [{"params": net.encoder.parameters(), "lr": 0.2}, {"params": net.decoder.parameters()}]
        steps = kind(groups, lr=0.1, **options)
        for number in range(4):
            net(torch.randn(2, 3, 9, 9)).square().mean().backward()
            steps.step()
            steps.zero_grad()
            if number == 1:  # go on with another one, from the state
                state = steps.state_dict()
                steps = kind(groups, lr=0.3, **options)
                steps.load_state_dict(state)
        assert all(parameter.grad is None for parameter in net.parameters())
        found.append((net.state_dict(), steps.state_dict()))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_updates_in_one_pass_are_those_of_a_loop_for_gradients_of_any_layout(
    name: str, layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = composed(f"optimizer={name}").optimizer
    found = []
    for one_pass in (True, False):
        if not one_pass:
            monkeypatch.setattr(optimizer, "_fused", lambda groups: None)
        torch.manual_seed(0)
        net = nn.Conv2d(5, 4, 3).to(memory_format=layout)
        steps = optimizer_of(net, build(OmegaConf.to_container(node), None, "optimizer"))
        assert {group["fused"] for group in steps.param_groups} == {True if one_pass else None}
        for _ in range(3):
            for parameter in net.parameters():
                parameter.grad = torch.randn(parameter.shape)  # contiguous
            steps.step()
        found.append(net.state_dict())
    torch.testing.assert_close(*found)


def test_parameters_elsewhere_or_with_gaps_in_memory_keep_the_choice_of_torch() -> None:
    gaps = Net()
    gaps.encoder[0].weight = nn.Parameter(torch.ones(4, 3, 3, 6)[..., ::2])
    for net in (Net().to("meta"), gaps):
        steps = adamw(net, 1e-3, [0.9, 0.99], 1e-8, 0.01, {})
        assert {group["fused"] for group in steps.param_groups} == {None}


def test_a_gradient_that_comes_later_begins_its_momentum() -> None:
    found = []
    for fused in (True, None):
        early, late, never = (nn.Parameter(torch.ones(3)) for _ in range(3))
        steps = optimizer.SGD([early, late, never], lr=0.1, momentum=0.9, weight_decay=0.1, fused=fused)
        for learning in ([early], [early, late], [late], [early, late]):
            steps.zero_grad()
            for parameter in learning:
                parameter.grad = torch.full((3,), 2.0)
            steps.step()
        assert never not in steps.state or not steps.state[never]
        found.append([early, late])
    torch.testing.assert_close(*found)


def test_gradients_with_other_strides_of_single_rows_are_not_copied() -> None:
    weight = nn.Parameter(torch.ones(4, 3, 1, 1).to(memory_format=torch.channels_last))
    gradient = torch.ones(4, 3, 1, 1).as_strided((4, 3, 1, 1), (3, 1, 7, 9))
    weight.grad = gradient
    optimizer.AdamW([weight], lr=0.1, fused=True).step()
    assert weight.grad is gradient
    assert len(weight.detach().unique()) == 1


@pytest.mark.parametrize("name", ["AdamW", "Adam", "SGD"])
def test_a_step_may_compute_the_loss_itself_and_calls_hooks(name: str) -> None:
    weight = nn.Parameter(torch.ones(1))
    steps, called = getattr(optimizer, name)([weight], lr=0.1), []
    steps.register_step_post_hook(lambda *_: called.append(1))

    def closure() -> torch.Tensor:
        loss = weight.square().sum()
        loss.backward()
        return loss

    assert steps.step(closure).item() == 1
    assert called == [1]
    assert weight.item() < 1
