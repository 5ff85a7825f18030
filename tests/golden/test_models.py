"""Fixed weights, fixed image, four digits: a change of the code must not move the models' outputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from densepred.build.instantiate import build
from densepred.types import HeadSpec

FILE = Path(__file__).with_name("models.json")
CASES = {
    "unet": ("model=unet", "upsample=transposed"),
    "deeplabv3": ("model=deeplabv3", "encoder=resnet18", "encoder.output_stride=16"),
    "deeplabv3plus": (
        *("model=deeplabv3plus", "decoder.width=32"),
        *("encoder=resnet18", "encoder.output_stride=16", "encoder.multi_grid=[1,2]"),
    ),
    "fcn": ("model=fcn", "encoder.width=0.125", "model.scales=[0.01,0.0001]"),
    "fcn8s": ("model=fcn8s", "encoder.width=0.125", "model.width=16"),
}


def fix_weights(model: nn.Module) -> None:
    """Weights that depend on no generator: waves, of the scale that keeps the signal's."""
    for number, value in enumerate(model.parameters()):
        wave = torch.sin(torch.arange(value.numel()) * (1.7 + 0.01 * number)).view(value.shape)
        scale = (2 / value[0].numel()) ** 0.5 if value.ndim > 1 else 0.1
        value.data.copy_(wave * scale + (0.9 if value.ndim == 1 else 0))


def answer(model: nn.Module) -> dict[str, Any]:
    image = torch.sin(torch.arange(3 * 37 * 45) * 0.37).view(1, 3, 37, 45) * 0.5 + 0.5
    with torch.no_grad():
        y = model.eval()(image)["semantic"][-1]
    picked = y.flatten()[:: max(1, y.numel() // 6)][:6].tolist()
    return {"shape": list(y.shape), "mean": y.mean().item(), "std": y.std().item(), "values": picked}


@pytest.mark.parametrize("name", sorted(CASES))
def test_outputs_have_not_moved(plain: Callable[..., dict[str, Any]], name: str) -> None:
    heads = {"semantic": HeadSpec(8, kind="classes")}
    model = build(plain(*CASES[name])["model"], heads=heads, channels=3, mean=(0.5,) * 3, std=(0.25,) * 3)
    fix_weights(model)
    have, want = answer(model), json.loads(FILE.read_text())[name]
    assert have["shape"] == want["shape"]
    assert have["mean"] == pytest.approx(want["mean"], rel=1e-4, abs=1e-4 * want["std"])
    assert have["std"] == pytest.approx(want["std"], rel=1e-4)
    assert have["values"] == pytest.approx(want["values"], rel=1e-4, abs=1e-4 * want["std"])
