"""Boxes and words over a picture (3, H, W) uint8, in its own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from densepred.draw import letters

Box = tuple[float, float, float, float]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


SMALL = 9  # smallest font size, for numbers inside instances

LONGEST = 60
"""Characters of a caption."""


class Caption(NamedTuple):
    """Text at a point (x, y).

    `at` is the anchor of the text: "corner" (lower left) or "middle". With `room` (width, height), the text or else
    the `short` text is written if it fits, else nothing."""

    text: str
    point: tuple[float, float]
    colour: tuple[int, int, int]
    at: str = "corner"
    short: str = ""
    room: tuple[float, float] | None = None


class _Places:
    """Places of the captions written so far, at most `most`: one comparison with all of them at a time."""

    def __init__(self, most: int) -> None:
        self.corners, self.count = np.empty((4, most)), 0  # float64, as the numbers of Python

    def add(self, place: Box) -> None:
        self.corners[:, self.count] = place
        self.count += 1

    def meet(self, place: Box) -> bool:
        """Return True if a place shares a point with any of those, edges included."""
        left, top, right, bottom = self.corners[:, : self.count]
        overlap = (left <= place[2]) & (place[0] <= right) & (top <= place[3]) & (place[1] <= bottom)
        return bool(overlap.any())


def boxes(picture: Tensor, corners: Tensor, colours: Sequence[tuple[int, int, int]], texts: Sequence[str]) -> Tensor:
    """Draw boxes (N, 4) on a picture, each with its text above the upper left corner."""
    image = to_image(picture)
    pen = ImageDraw.Draw(image)
    width = line_width(image.size)
    captions = []
    for (x0, y0, x1, y1), colour, text in zip(corners.cpu().tolist(), colours, texts, strict=True):
        # Edges lie between pixels: the frame covers the pixels just inside.
        left, top = x0 + 0.5, y0 + 0.5
        right, bottom = max(left, x1 - 0.5), max(top, y1 - 0.5)
        pen.rectangle((left, top, right, bottom), outline=colour, width=width)
        captions.append(Caption(text, (left, top), colour))
    _write(image, captions)
    return from_image(image)


def write(picture: Tensor, captions: Sequence[Caption]) -> Tensor:
    """Write captions on a picture."""
    image = to_image(picture)
    _write(image, captions)
    return from_image(image)


def line_width(size: tuple[int, int]) -> int:
    return max(2, round(max(size) / 400))


def to_image(picture: Tensor) -> Image.Image:
    return Image.fromarray(picture.permute(1, 2, 0).contiguous().cpu().numpy())


def from_image(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def _write(image: Image.Image, captions: Sequence[Caption]) -> None:
    pen = ImageDraw.Draw(image)
    side = max(image.size)
    points = (max(11, min(28, round(side / 50))), max(11, min(16, round(side / 90))), SMALL)
    large, middle, small = (ImageFont.load_default(size) for size in points)
    taken = _Places(len(captions))
    for given in captions:
        caption = given._replace(
            text=letters.name(given.text, LONGEST), short=letters.name(given.short, LONGEST)
        )  # class names come from files
        if caption.room is not None:
            _fit(pen, caption, caption.room, [(caption.text, middle), (caption.short, middle), (caption.short, small)])
            continue
        if not caption.text:
            continue
        left, top, right, bottom = pen.textbbox((0, 0), caption.text, font=large)
        size = (right - left + 4, bottom - top + 4)
        x, y, _, _ = place = _free(caption.point, size, image.size, caption.at, taken)
        taken.add(place)
        pen.rectangle(place, fill=caption.colour)
        pen.text((x + 2 - left, y + 2 - top), caption.text, fill=_ink(caption.colour), font=large)


def _fit(
    pen: ImageDraw.ImageDraw, caption: Caption, room: tuple[float, float], choices: Sequence[tuple[str, Font]]
) -> None:
    """Write the first text that fits into the room, centered on the caption's point, without a background."""
    for text, font in choices:
        left, top, right, bottom = pen.textbbox((0, 0), text, font=font, stroke_width=1)
        if text and right - left <= room[0] and bottom - top <= room[1]:
            corner = (caption.point[0] - (left + right) / 2, caption.point[1] - (top + bottom) / 2)
            pen.text(corner, text, fill=(255, 255, 255), font=font, stroke_width=1, stroke_fill=(0, 0, 0))
            return


def _free(
    point: tuple[float, float], size: tuple[float, float], bounds: tuple[int, int], at: str, taken: _Places
) -> Box:
    """Return the place of a text: its point, or if that is taken, the nearest free place above or below."""
    width, height = size
    x, y = (point[0], point[1] - height) if at == "corner" else (point[0] - width / 2, point[1] - height / 2)
    found: list[Box] = []
    for step in (0, 1, -1, 2, -2, 3, -3):
        left = min(max(0.0, x), max(0.0, bounds[0] - 1 - width))
        top = min(max(0.0, y + step * (height + 1)), max(0.0, bounds[1] - 1 - height))
        found.append((left, top, left + width, top + height))
        if not taken.meet(found[-1]):
            return found[-1]
    return found[0]


def _ink(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return black or white, the one that is legible on a colour."""
    red, green, blue = colour
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)
