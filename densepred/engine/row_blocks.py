"""Blocks of rows of a large image, decoded one after another from the strips of a sliding window.

Neighbouring blocks overlap: an instance at the line between them lies in both, and `ops/regions/joining.py` makes it
one. H x W is the image, C the channels of all heads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from densepred.codec.blockwise import Blocks
from densepred.contracts import Codec
from densepred.engine import detection_limits
from densepred.engine.flip import HeadOutputs
from densepred.engine.sliding import STRIP
from densepred.types import Annotation, Frame

ELEMENTS = 2**24
"""Elements of all heads per block, without its margins, unless these or a window need more: 64 MB of float32."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows `start` to `stop` of an image, decoded as one, of which the rows `top` to `bottom` are kept."""

    start: int
    stop: int
    top: int
    bottom: int
    found: Annotation

    @property
    def kept(self) -> slice:
        return slice(self.top - self.start, self.bottom - self.start)


def blocks(
    strips: Iterable[tuple[int, HeadOutputs]],
    codec: Codec,
    plan: Blocks,
    size: tuple[int, int],
    tile: int,
    probabilities: bool,
) -> Iterator[Block]:
    """Yield the blocks of an image of this size, from the top.

    codec: counts the image if a block reaches its limit on instances
    strips: those of `sliding.strips`, as logits or values, with windows of `tile` pixels
    """
    parts = spans(size, plan, tile)
    widest = max(spec.channels for spec in codec.heads.values())
    room = max(stop - start for start, stop, *_ in parts) + min(tile, max(1, STRIP // (size[1] * widest)))
    held, full = _Held(iter(strips), room), False
    for start, stop, top, bottom in parts:
        frame = Frame("image", (stop - start, size[1]))
        found = plan.codec.decode(held.rows(start, stop), [frame], False, probabilities)[0]
        full |= detection_limits.take_full(plan.codec) > 0
        yield Block(start, stop, top, bottom, found)
    detection_limits.add_full(codec, int(full))


class _Held:
    """Outputs of the network for the rows of one block; `room` rows have space."""

    def __init__(self, strips: Iterator[tuple[int, HeadOutputs]], room: int) -> None:
        self.strips, self.room = strips, room
        self.heads, self.start, self.filled = HeadOutputs(), 0, 0

    def rows(self, start: int, stop: int) -> HeadOutputs:
        """Return the outputs for rows of the image; `start` does not go back, and what lies above it is dropped."""
        self._drop(start - self.start)
        while self.start + self.filled < stop:
            self._add(next(self.strips)[1])
        return {name: value[..., : stop - start, :] for name, value in self.heads.items()}

    def _drop(self, done: int) -> None:
        """Move what is below the first `done` rows up, channel by channel: a copy of all would double the memory."""
        for value in self.heads.values() if done else ():
            for channel in value[0]:
                channel[: self.filled - done] = channel[done : self.filled].clone()
        self.start, self.filled = self.start + done, self.filled - done

    def _add(self, strip: HeadOutputs) -> None:
        for name, value in strip.items():
            if name not in self.heads:
                self.heads[name] = value.new_empty(1, value.shape[1], self.room, value.shape[3])
            self.heads[name][..., self.filled : self.filled + value.shape[2], :] = value
        self.filled += int(next(iter(strip.values())).shape[2])


def spans(size: tuple[int, int], plan: Blocks, tile: int) -> list[tuple[int, int, int, int]]:
    """Return the rows of each block and those that are kept, as (start, stop, top, bottom)."""
    (height, width), margin = size, plan.margin + (0 if plan.any_size else tile // 2)
    channels = sum(spec.channels for spec in plan.codec.heads.values())
    least = 8 * margin if plan.any_size else tile  # rows of margins are decoded twice
    step = max(least, ELEMENTS // (width * channels))
    count = max(1, height // step)
    edges = [index * height // count for index in range(count + 1)]
    return [(max(0, a - margin), min(height, b + margin), a, b) for a, b in pairwise(edges)]
