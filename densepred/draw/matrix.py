"""A confusion matrix as a picture: rows are true classes, columns predictions, cells the share of the row."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from densepred.draw import letters

CELL, TEXT, GAP = 44, 13, 6
SMALL, MANY = 14, 24
"""Side of a cell without numbers, and the number of classes above which cells have none."""
DARK = (8, 48, 107)  # a share of 1; white is 0
LONGEST = 24  # characters of a name


def draw(matrix: Tensor, rows: Sequence[str], columns: Sequence[str]) -> Image.Image:
    """Draw counts (R, C): one hue from white to dark blue, the percentage in each cell if there are few classes."""
    side = CELL if len(columns) <= MANY else SMALL
    font = ImageFont.load_default(TEXT if side == CELL else SMALL - 3)
    names = [[letters.name(one, LONGEST) for one in group] for group in (rows, columns)]
    left, top = (round(max(map(font.getlength, group))) + 2 * GAP for group in names)
    head = TEXT + 2 * GAP
    width = max(left + side * len(columns) + GAP, 330)
    page = Image.new("RGB", (width, head + top + side * len(rows) + GAP), (255, 255, 255))
    pen = ImageDraw.Draw(page)
    title = "rows: ground truth, columns: prediction, % of the row"
    pen.text((GAP, GAP), title, (0, 0, 0), ImageFont.load_default(TEXT))
    shares = matrix.double() / matrix.sum(1, keepdim=True).clamp(min=1)
    for j, name in enumerate(names[1]):
        _vertical(page, name, (left + j * side, head, side, top), font)
    for i, name in enumerate(names[0]):
        y = head + top + i * side
        pen.text((left - GAP, y + side / 2), name, (0, 0, 0), font, anchor="rm")
        for j in range(len(columns)):
            _cell(pen, float(shares[i, j]), (left + j * side, y), side, font)
    return page


def _cell(
    pen: ImageDraw.ImageDraw,
    share: float,
    corner: tuple[int, int],
    side: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    red, green, blue = (round(255 + (dark - 255) * share) for dark in DARK)
    x, y = corner
    pen.rectangle((x, y, x + side, y + side), (red, green, blue), (215, 215, 215))
    if side == CELL and share >= 0.0005:
        ink = (255, 255, 255) if share > 0.5 else (0, 0, 0)
        pen.text((x + side / 2, y + side / 2), f"{share:.1%}".rstrip("%"), ink, font, anchor="mm")


def _vertical(
    page: Image.Image,
    name: str,
    box: tuple[int, int, int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Write a name from bottom to top into (x, y, width, height)."""
    x, y, width, height = box
    strip = Image.new("RGB", (height, width), (255, 255, 255))
    ImageDraw.Draw(strip).text((GAP, width / 2), name, (0, 0, 0), font, anchor="lm")
    page.paste(strip.transpose(Image.Transpose.ROTATE_90), (x, y))


def of_labels(matrix: Tensor, classes: Sequence[str], void: str) -> Image.Image:
    """Draw counts (K, K + 1) of class maps; the column of void predictions is left out if it is empty."""
    used = matrix if bool(matrix[:, -1].any()) else matrix[:, :-1]
    return draw(torch.as_tensor(used), classes, [*classes, void][: used.shape[1]])
