"""Colours for classes that have none."""

from __future__ import annotations

Colour = tuple[int, int, int]


def voc_palette(count: int) -> tuple[Colour, ...]:
    """The colours of PASCAL VOC: the bits of the class id, dealt to the high bits of red, green and blue in turn."""
    return tuple(_colour(index) for index in range(count))


def _colour(index: int) -> Colour:
    red = green = blue = 0
    for place in range(7, -1, -1):
        red |= (index & 1) << place
        green |= (index >> 1 & 1) << place
        blue |= (index >> 2 & 1) << place
        index >>= 3
    return red, green, blue
