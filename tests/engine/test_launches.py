"""Kernels of a training step on an accelerator: those of the network, and those of all the rest.

The second number is of the loss, the EMA, the optimizer, the norm of the gradient, and copies of buffers. It must not
grow with the number of tensors of a network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from densepred import optimizer
from tests import accelerated, accelerator
from tests.engine.test_device import PLAIN, SMALL, steps

NETWORK = ("model/", "encoder/", "decoder/", "upsample/", "nn.py", "ops/resize/interpolate.py", "outside")
MODELS = {
    "unet": (480, "model=unet", "encoder=resnet34"),
    "deeplabv3": (590, "model=deeplabv3_resnet50"),
    "hrnet": (2900, "model=hrnet"),
}
SIZE = ("dataset.size=[64,96]", "data.batch_size=2", "trainer.clip=1.0", "trainer.pictures=0")


def launched(*words: str, path: str) -> dict[str, Any]:
    found: dict[str, int] = {}
    last = steps(Path(path), *SIZE, *words)[-1]
    for line, kernels in last["launched"].items():
        kind = "network" if line.startswith(NETWORK) else "rest"
        found[kind] = found.get(kind, 0) + kernels
    return {**last, **found}


def of_model(name: str, path: str) -> dict[str, Any]:
    return launched(*MODELS[name][1:], path=path)


def of_widths(depth: int, path: str) -> dict[str, Any]:
    return launched(*SMALL, *PLAIN[:1], f"encoder.widths={[4] * depth}", path=path)


@pytest.mark.slow
def test_more_layers_launch_no_more_kernels_beside_the_network(tmp_path: Path) -> None:
    few, many = (accelerated.run(of_widths, depth, tmp_path / str(depth)) for depth in (2, 5))
    assert few["network"] < many["network"]
    assert few["rest"] == many["rest"]


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_step_launches_few_kernels_in_the_network_and_beside_it(name: str, tmp_path: Path) -> None:
    found = accelerated.run(of_model, name, tmp_path)
    assert found["rest"] <= 300, found
    assert found["network"] <= MODELS[name][0], found


def updates(fused: bool) -> list[Any]:
    """Update weights on the pretended device; return the way, kernels and host reads of one update, and the weights."""
    optimizer.FUSED = optimizer.FUSED if fused else {}
    torch.manual_seed(0)
    net = nn.Sequential(*(nn.Conv2d(4, 4, 3) for _ in range(30))).to(accelerator.NAME)
    steps = optimizer.adamw(net, 1e-2, [0.9, 0.99], 1e-8, 0.1, {})
    state: dict[str, Any] = {}
    for number in range(4):
        for parameter in net.parameters():
            parameter.grad = torch.full(parameter.shape, 0.1 + number, device=accelerator.NAME)
        accelerator.COUNTS.reset()
        steps.step()
        if number == 1:  # go on with another one, from the state as a checkpoint of former runs keeps it
            state = steps.state_dict()["state"]
            steps = optimizer.adamw(net, 1e-2, [0.9, 0.99], 1e-8, 0.1, {})
            kept = {name: {key: value.cpu() for key, value in slots.items()} for name, slots in state.items()}
            steps.load_state_dict({"state": kept, "param_groups": steps.state_dict()["param_groups"]})
    found = [steps.param_groups[0]["fused"], accelerator.COUNTS.kernels, sum(accelerator.COUNTS.reads.values())]
    return [*found, [value.detach().cpu().flatten().tolist() for value in net.parameters()]]


def test_updates_on_a_device_take_few_kernels_and_no_reads_and_go_on_from_former_states() -> None:
    (used, few, reads, found), (unused, many, _, expected) = (
        accelerated.run(updates, fused) for fused in (True, False)
    )
    assert (used, unused, reads) == (True, None, 0)
    assert few * 3 < many
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-6)
