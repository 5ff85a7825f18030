"""Kernels of a training step on an accelerator: those of the network, and those of all the rest.

The second number is of the loss, the EMA, the optimizer, the norm of the gradient, and copies of buffers. It must not
grow with the number of tensors of a network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import accelerated
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
