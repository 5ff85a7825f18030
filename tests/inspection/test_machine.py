"""Memory of a training step, from the activations of a network and the free memory of the machine."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from torch import nn

from densepred.inspection import machine
from densepred.types import Info


def test_activations_are_those_that_the_backward_pass_needs() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 1)).to("meta")
    image, hidden = 3 * 32 * 48 * 4, 8 * 32 * 48 * 4  # the input and the output of ReLU, once, in bytes
    assert machine.kept(model, (3, 32, 48)) == image + hidden


def test_the_batch_is_the_largest_power_of_two_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Conv2d(3, 8, 1).to("meta")  # keeps its input: 12288 bytes per image of 32x32
    task = SimpleNamespace(codec=SimpleNamespace(top_down=False))
    monkeypatch.setattr(machine, "built", lambda name, info: (task, model))
    monkeypatch.setattr(machine, "free_memory", lambda: (int((16 * 32 + 9 * 1.5 * 12288) / 0.8) + 1, "a card"))
    info = Info(classes=("a", "b"), provides=("semantic",))
    found = machine.suggest(info, (32, 32), images=100)
    assert found is not None
    assert (found["batch"], found["device"]) == (8, "a card")
    small = machine.suggest(info, (32, 32), images=3)
    assert small is not None
    assert small["batch"] == 2
    typed = machine.suggest(info, (32, 32), images=100, given=(16, 16))
    assert typed is not None
    assert (typed["crop"], typed["batch"]) == ([16, 16], 32)
    task.codec.top_down = True
    posed = machine.suggest(info, (480, 512), images=100)
    assert posed is not None
    assert posed["crop"] == [256, 192]
    assert machine.suggest(Info(classes=("a",), provides=("keypoints",), keypoints=("eye",)), (32, 32), 100) is None
