"""Float64, on a device that has it and beside one that has not."""

from __future__ import annotations

import pytest
import torch

from densepred.ops import precise
from tests import accelerated, accelerator


def places() -> list[str]:
    """Return the device of an exact number of the pretended device, first with float64 there, then without."""
    value = torch.ones(2, device=accelerator.NAME)
    first = precise.exact(value)
    precise.WITHOUT.add(accelerator.NAME)
    accelerator.REFUSED.add(torch.float64)
    second = precise.exact(value)
    assert first.dtype == second.dtype == torch.float64
    return [first.device.type, second.device.type]


@pytest.mark.slow  # the commands on such a device show it too
def test_values_leave_a_device_without_float64() -> None:
    assert accelerated.run(places) == [accelerator.NAME, "cpu"]


def test_no_digit_is_lost() -> None:
    value = torch.tensor([1 / 3, 2**24 + 2], dtype=torch.float32)
    assert precise.exact(value).tolist() == value.tolist()
    assert "mps" in precise.WITHOUT
