"""Choice of the encoder's levels that a decoder reads, and of the map that its dropout acts on."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder
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


def drop_finest(decoder: Decoder, maps: Sequence[Tensor], dropout: nn.Module) -> list[Tensor]:
    """Apply dropout to the finest of the maps, coarse to fine, that is in use: heads may leave finer ones unread."""
    finest = len(maps) - 1 if decoder.wanted is None else max(decoder.wanted)
    return [dropout(x) if level == finest else x for level, x in enumerate(maps)]
