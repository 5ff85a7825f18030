"""Trainable parameters, learning rates and decay per part."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from densepred.errors import UserError
from densepred.optimizer import adamw, freeze, parameter_groups, sgd


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.decoder = nn.Sequential(nn.Conv2d(4, 2, 3))


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
    with pytest.raises(UserError, match=r"trainer\.freeze: the model has no part 'neck'; it has encoder, decoder"):
        freeze(Net(), ["neck"])
    with pytest.raises(UserError, match="takes lr"):
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
