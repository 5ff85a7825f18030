"""Weights and statistics of RGB, adapted to images of another number of channels."""

from __future__ import annotations

from torch import Tensor


def adapt_input(weight: Tensor, channels: int) -> Tensor:
    """Adapt first-layer weights (out, 3, k, k) to another number of channels; one channel gets their sum."""
    if channels == weight.shape[1]:
        return weight
    if channels == 1:
        return weight.sum(1, keepdim=True)
    cycled = weight[:, [i % weight.shape[1] for i in range(channels)]]
    return cycled * (weight.shape[1] / channels)


def adapt_statistics(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """Adapt the mean or deviation of RGB to another number of channels, as `adapt_input` does weights."""
    if channels == 1:
        return (sum(values) / len(values),)
    return tuple(values[i % len(values)] for i in range(channels))
