"""Float64 for sums and coordinates, also beside devices that have none."""

from __future__ import annotations

from torch import Tensor

WITHOUT = {"mps"}
"""Types of devices without float64: Apple's."""


def exact(values: Tensor) -> Tensor:
    """Convert to float64, where the values are or, if that device has no float64, on the CPU."""
    return (values.cpu() if values.device.type in WITHOUT else values).double()
