"""The moving average of weights, against one tensor at a time."""

from __future__ import annotations

import copy

import torch
from torch import nn

from densepred.engine.ema import MovingAverage


def test_it_is_bit_for_bit_the_average_of_one_tensor_at_a_time() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).double()
    model.register_buffer("small", torch.randn(3, dtype=torch.float16))
    average, expected = MovingAverage(model, 0.5), copy.deepcopy(model).state_dict()
    for n in range(6):
        for value in model.state_dict().values():
            value.copy_(torch.randn(value.shape) * 9)
        average.update_parameters(model)
        rate = 1 - min(0.5, (1 + n) / (10 + n))
        for name, value in model.state_dict().items():
            if n and value.is_floating_point():
                expected[name].lerp_(value, rate)
            else:
                expected[name].copy_(value)
    assert all(torch.equal(value, expected[name]) for name, value in average.module.state_dict().items())
    assert average.n_averaged == 6


def test_a_loaded_average_goes_on_at_its_own_update() -> None:
    model = nn.Linear(2, 2)
    first, second = MovingAverage(model, 0.9), MovingAverage(model, 0.9)
    for average in (first, first, second):
        average.update_parameters(model)
    second.load_state_dict(first.state_dict())
    nn.init.ones_(model.weight)
    for average in (first, second):
        average.update_parameters(model)
    assert torch.equal(first.module.weight, second.module.weight)
    assert second.n_averaged == 3
