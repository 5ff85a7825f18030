"""Probabilities at a temperature, from those of the network alone."""

from __future__ import annotations

import torch


def of_temperature(probabilities: torch.Tensor, value: float) -> torch.Tensor:
    """Return softmax(z / T) (C, H, W): p^(1/T), normalised."""
    power = probabilities.double() ** (1 / value)
    return power / power.sum(0)
