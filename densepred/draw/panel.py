"""Pictures in a row with captions, and a legend of colours below them. All are (3, H, W) uint8."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from densepred.draw import letters
from densepred.draw.boxes import from_image, to_image
from densepred.nn import ceil_div

Entry = tuple[str, tuple[int, int, int]]
"""A line of a legend: text and colour."""

SIDE = 360
"""Minimum length in pixels of the longer side of a picture; small ones are enlarged by a whole factor."""
LARGEST = 800
"""Length in pixels to which the longer side of a larger picture is reduced."""
GAP, TEXT, LINE, SWATCH = 4, 14, 22, 14
LONGEST = 60  # characters of a caption
WIDE = 1400
"""Width in pixels from which words are twice as large: pages and TensorBoard show such panels reduced."""


def panel(tiles: Sequence[tuple[str, Tensor]], legend: Sequence[Entry] = (), title: str = "") -> Tensor:
    """Place pictures side by side, each below its caption, then the legend. All get the size of the largest one."""
    size = _size(tiles)
    width, title = len(tiles) * size[0] + (len(tiles) - 1) * GAP, letters.name(title, 2 * LONGEST)
    captions = [letters.name(caption, LONGEST) for caption, _ in tiles]
    zoom = 2 if width >= WIDE and _fits(title, width) and all(_fits(one, size[0]) for one in captions) else 1
    line, font = LINE * zoom, ImageFont.load_default(TEXT * zoom)
    rows, top = _rows(legend, width, zoom), line * (2 if title else 1)
    page = Image.new("RGB", (width, top + size[1] + line * len(rows)), (255, 255, 255))
    pen = ImageDraw.Draw(page)
    pen.text((GAP, 3 * zoom), title, fill=(0, 0, 0), font=font)
    for number, (caption, (_, picture)) in enumerate(zip(captions, tiles, strict=True)):
        left = number * (size[0] + GAP)
        pen.text((left + GAP, top - line + 3 * zoom), caption, fill=(0, 0, 0), font=font)
        page.paste(_resized(to_image(picture), size), (left, top))
    for number, row in enumerate(rows):
        _draw_row(pen, row, top + size[1] + number * line, zoom)
    return from_image(page)


def with_legend(picture: Tensor, legend: Sequence[Entry]) -> Tensor:
    """Return a picture of at least `SIDE` pixels with its legend below it; unchanged without one."""
    if not legend:
        return picture
    factor = max(1, ceil_div(SIDE, max(picture.shape[-2:])))
    large = picture.repeat_interleave(factor, -2).repeat_interleave(factor, -1)
    return torch.cat([large.cpu(), drawn(legend, large.shape[-1])], 1)


def drawn(legend: Sequence[Entry], width: int) -> Tensor:
    """Draw a legend in as many lines as it needs; without entries it has no height."""
    rows = _rows(legend, width)
    if not rows:
        return torch.empty(3, 0, width, dtype=torch.uint8)
    strip = Image.new("RGB", (width, LINE * len(rows)), (255, 255, 255))
    pen = ImageDraw.Draw(strip)
    for number, row in enumerate(rows):
        _draw_row(pen, row, number * LINE)
    return from_image(strip)


def classes(labels: Sequence[Tensor], names: Sequence[str], palette: Sequence[tuple[int, int, int]]) -> list[Entry]:
    """Return an entry per class that one of the class maps (H, W) shows, in the order of the ids."""
    present: list[int] = np.unique(np.concatenate([one.cpu().numpy().reshape(-1) for one in labels])).tolist()
    return [(names[i], palette[i]) for i in present if i < min(len(names), len(palette))]


def _size(tiles: Sequence[tuple[str, Tensor]]) -> tuple[int, int]:
    """Return width and height of every picture of a panel."""
    height, width = max((tuple(picture.shape[-2:]) for _, picture in tiles), key=max)
    side = max(height, width)
    factor = LARGEST / side if side > LARGEST else ceil_div(SIDE, side)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    smaller = size[0] < image.width
    return image.resize(size, Image.Resampling.BOX if smaller else Image.Resampling.NEAREST)


def _fits(text: str, width: int) -> bool:
    """Return True if a caption of twice the size is at most `width` pixels long."""
    return ImageFont.load_default(2 * TEXT).getlength(text) <= width - GAP


def _rows(legend: Sequence[Entry], width: int, zoom: int = 1) -> list[list[tuple[int, Entry]]]:
    """Return the entries of each line with their places; a line is as wide as the picture."""
    font, swatch, gap = ImageFont.load_default(TEXT * zoom), SWATCH * zoom, GAP * zoom
    rows: list[list[tuple[int, Entry]]] = []
    x = 0
    for text, colour in legend:
        text = letters.name(text, LONGEST)
        need = swatch + 3 * gap + round(font.getlength(text))
        if not rows or x + need > width:
            rows.append([])
            x = gap
        rows[-1].append((x, (text, colour)))
        x += need + 2 * gap
    return rows


def _draw_row(pen: ImageDraw.ImageDraw, row: Sequence[tuple[int, Entry]], top: int, zoom: int = 1) -> None:
    font, swatch = ImageFont.load_default(TEXT * zoom), SWATCH * zoom
    for x, (text, colour) in row:
        pen.rectangle((x, top + 4 * zoom, x + swatch, top + 4 * zoom + swatch), fill=colour, outline=(0, 0, 0))
        pen.text((x + swatch + GAP * zoom, top + 3 * zoom), text, fill=(0, 0, 0), font=font)
