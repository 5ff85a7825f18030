"""Colours of classes: those of the settings, or those of PASCAL VOC."""

from __future__ import annotations

from collections.abc import Sequence

from densepred.errors import UserError

Colour = tuple[int, int, int]


def parse_palette(palette: Sequence[Sequence[int]], count: int) -> tuple[Colour, ...]:
    """Return `palette` as `count` RGB colours, or raise UserError if it is something else."""
    if len(palette) != count or any(len(colour) != 3 for colour in palette):
        raise UserError(
            f"dataset.palette: {len(palette)} colours for {count} classes; give one [red, green, blue] each"
        )
    return tuple((int(red), int(green), int(blue)) for red, green, blue in palette)


def voc_palette(count: int) -> tuple[Colour, ...]:
    """Return the colours of PASCAL VOC.

    The bits of the class id, lowest first, become the high bits of red, green and blue in turn.
    Source: `VOClabelcolormap.m` of the VOC development kit.
    """
    return tuple(_colour(index) for index in range(count))


def _colour(index: int) -> Colour:
    red = green = blue = 0
    for place in range(7, -1, -1):
        red |= (index & 1) << place
        green |= (index >> 1 & 1) << place
        blue |= (index >> 2 & 1) << place
        index >>= 3
    return red, green, blue
