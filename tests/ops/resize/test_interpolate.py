"""Bilinear interpolation of features: of torch, and by products where runs must repeat on a device."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from densepred.ops.resize import interpolate
from tests import accelerated, accelerator


def on_the_device(deterministic: bool) -> dict[str, Any]:
    """Enlarge twice on the pretended device, with gradients; return the numbers and the kernels of the second time."""
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    image = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).view(2, 3, 4, 5).sin()
    x = image.to(accelerator.NAME).requires_grad_()
    for _ in range(2):
        accelerator.COUNTS.reset()
        made = interpolate.bilinear(x, (8, 20), align_corners=False)
        (gradient,) = torch.autograd.grad(made, x, torch.ones_like(made))
    return {"made": made.tolist(), "gradient": gradient.tolist(), "kernels": accelerator.COUNTS.kernels}


@pytest.mark.slow
def test_an_enlargement_that_must_repeat_takes_few_kernels_on_a_device() -> None:
    found = accelerated.run(on_the_device, True)
    x = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).view(2, 3, 4, 5).sin().requires_grad_()
    made = F.interpolate(x, (8, 20), mode="bilinear")
    (gradient,) = torch.autograd.grad(made, x, torch.ones_like(made))
    torch.testing.assert_close(torch.tensor(found["made"]), made.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(torch.tensor(found["gradient"]), gradient, rtol=1e-5, atol=1e-6)
    assert found["kernels"] <= 8, found["kernels"]
    assert accelerated.run(on_the_device, False)["kernels"] <= 5


def test_on_a_cpu_it_is_torchs_own() -> None:
    x = torch.randn(1, 2, 5, 7)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        found = interpolate.bilinear(x, (11, 9), align_corners=True)
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(found, F.interpolate(x, (11, 9), mode="bilinear", align_corners=True))
