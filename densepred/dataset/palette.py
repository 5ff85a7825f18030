"""Colours of classes: those of the settings, those of PASCAL VOC, or a sequence for all kinds of colour vision."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from densepred.dataset.facts import counted
from densepred.errors import UserError, shown

Colour = tuple[int, int, int]
HEX = re.compile(r"#?([0-9a-fA-F]{6})([0-9a-fA-F]{2})?")


def parse_palette(palette: Sequence[Any], count: int) -> tuple[Colour, ...]:
    """Return `palette` as `count` RGB colours, or raise UserError if it is something else."""
    if len(palette) != count:
        raise UserError(
            f"dataset.palette: {counted(len(palette), 'colours')} for {counted(count, 'classes')}; "
            "give one [red, green, blue] each"
        )
    return tuple(parse_colour(colour, f"dataset.palette: colour {index}") for index, colour in enumerate(palette))


def parse_colour(colour: Any, where: str) -> Colour:
    """Read [red, green, blue] from 0 to 255, with an opaque alpha or without, or a hexadecimal word "#ff0000"."""
    parts: Any = colour
    if isinstance(colour, str) and (found := HEX.fullmatch(colour.strip())):
        parts = list(bytes.fromhex(found[1] + (found[2] or "")))
    if isinstance(colour, Mapping) and {"r", "g", "b"} <= set(colour):
        parts = [colour["r"], colour["g"], colour["b"]]
    is_list = isinstance(parts, list | tuple) and len(parts) in (3, 4)
    if not is_list or not all(type(part) is int and 0 <= part <= 255 for part in parts):
        raise UserError(f'{where} is {shown(colour)}; write [red, green, blue], each from 0 to 255, or "#ff0000"')
    if len(parts) == 4 and parts[3] != 255:
        raise UserError(f"{where} is {shown(colour)}, partly transparent; write [red, green, blue]")
    return parts[0], parts[1], parts[2]


SEQUENCE: tuple[Colour, ...] = (
    *((0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0)),
    *((204, 121, 167), (105, 45, 15), (210, 225, 210), (60, 75, 75), (75, 15, 135), (180, 240, 255), (120, 105, 120)),
    *((135, 90, 60), (150, 195, 135), (0, 0, 240), (135, 120, 255), (195, 165, 165), (90, 75, 120), (90, 255, 165)),
    *((240, 180, 210), (60, 60, 45), (75, 105, 90)),
)
"""The eight colours of Okabe and Ito, Color Universal Design (2008), black first, and sixteen more.

Each of these has the largest distance (CIEDE2000) to those before it. The smallest one over normal vision and simulated
protanopia, deuteranopia and tritanopia counts (Machado, Oliveira and Fernandes 2009). All pairs are at least 9.6 apart.
"""


def default_palette(count: int) -> tuple[Colour, ...]:
    """Return the colours of classes without colours of their own: SEQUENCE, then those of VOC that it has not."""
    return (*SEQUENCE, *(one for one in voc_palette(count + len(SEQUENCE)) if one not in SEQUENCE))[:count]


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


class PaletteRecord:
    """The colours that palette masks give to ids. Programs that sort a palette by use number classes anew per image."""

    def __init__(self) -> None:
        self._first: dict[Colour, tuple[int, Path]] = {}

    def add(self, mask: np.ndarray, palette: np.ndarray, path: Path) -> None:
        """Record the colours of a mask. Raises UserError if a recorded one has another id there."""
        self.check(mask, palette, path)
        for value, colour in _shown(mask, palette):
            self._first.setdefault(colour, (value, path))

    def check(self, mask: np.ndarray, palette: np.ndarray, path: Path) -> None:
        """Raise UserError if a mask shows a recorded colour under another id. Nothing is recorded.

        mask: (H, W) ids; palette: (N, 3) uint8. A colour of several ids of one mask decides nothing.
        """
        for value, colour in _shown(mask, palette):
            before, where = self._first.get(colour, (value, path))
            if before != value:
                raise UserError(
                    f"{path}: its palette gives the colour {colour} to the id {value}, that of {where} to {before}; if "
                    "colours are right, save all masks as RGB and list the colours in classes.json, if ids are right, "
                    "save the masks as grey"
                )


def _shown(mask: np.ndarray, palette: np.ndarray) -> list[tuple[int, Colour]]:
    """Return the ids in a mask with their colours, without colours of several ids."""
    used = [(int(value), colour_of(palette, int(value))) for value in np.unique(mask) if value < len(palette)]
    times = Counter(colour for _, colour in used)
    return [(value, colour) for value, colour in used if times[colour] == 1]


def colour_of(palette: np.ndarray, value: int) -> Colour:
    red, green, blue = palette[value].tolist()
    return red, green, blue
