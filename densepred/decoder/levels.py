"""Choice of the encoder's levels that a decoder reads."""

from __future__ import annotations

from densepred.contracts import Encoder
from densepred.types import UserError


def finest(encoder: Encoder, stride: int) -> int:
    """Return the encoder's first level of at least `stride`; raise UserError if there is none."""
    level = next((i for i, one in enumerate(encoder.strides) if one >= stride), None)
    if level is None:
        raise UserError(f"decoder.stride={stride} is beyond the encoder's {encoder.strides[-1]}; give a smaller one")
    return level


def deep_to_shallow(encoder: Encoder, stride: int) -> list[int]:
    """Return the encoder's levels from the deepest up to the first of at least `stride`."""
    return list(reversed(range(finest(encoder, stride), len(encoder.strides))))
