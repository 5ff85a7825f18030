"""Gradients of convolutions in bfloat16 on a CPU, for maps narrower than the stride, against those of float32."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from densepred.engine.amp import Precision

CONVOLUTIONS = {
    "strided": (nn.Conv2d(8, 8, 3, stride=2, padding=1), (3, 8, 1, 1)),
    "high": (nn.Conv2d(8, 8, 7, stride=(1, 4), padding=3), (1, 8, 5, 3)),
    "transposed": (nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1), (3, 8, 1, 1)),
    "wide": (nn.Conv2d(8, 8, 3, stride=2, padding=1), (3, 8, 1, 2)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_weights_of_narrow_maps_get_the_gradients_of_float32(name: str) -> None:
    conv, shape = CONVOLUTIONS[name]
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    found = [_gradient(conv, image, precision) for precision in ("fp32", *["bf16"] * 4)]
    torch.testing.assert_close(found[1], found[0], rtol=0.02, atol=0.02 * float(found[0].abs().max()))
    assert all(torch.equal(one, other) for one, other in pairwise(found[1:]))


def _gradient(conv: nn.Module, image: torch.Tensor, name: str) -> torch.Tensor:
    for size in (64, 576, 1024, 5000):  # memory that is given back, full of large numbers
        torch.full((size,), 1e20)
    precision = Precision(name, torch.device("cpu"))
    with precision.autocast():
        out = conv(image)
    conv.zero_grad()
    precision.backward(out.float().sum())
    weight = conv.get_parameter("weight")
    assert weight.grad is not None
    return weight.grad.clone()
