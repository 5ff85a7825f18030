"""Which of an encoder's levels a decoder reads."""

from __future__ import annotations

from densepred.contracts import Encoder
from densepred.types import UserError


def finest(encoder: Encoder, stride: int) -> int:
    """The encoder's first level of at least `stride`."""
    level = next((i for i, one in enumerate(encoder.strides) if one >= stride), None)
    if level is None:
        raise UserError(f"decoder.stride={stride} is beyond the encoder's {encoder.strides[-1]}; give a smaller one")
    return level


def deep_to_shallow(encoder: Encoder, stride: int) -> list[int]:
    """The encoder's levels from the deepest up to the first of at least `stride`."""
    return list(reversed(range(finest(encoder, stride), len(encoder.strides))))
