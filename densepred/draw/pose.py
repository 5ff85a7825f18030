"""Skeletons over an image: limbs as lines, joints as dots. N people, K keypoints."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw
from torch import Tensor

from densepred.draw.boxes import from_image, to_image
from densepred.draw.instances import Colour, distinct, spectrum

SMOOTH = 3  # supersampling of lines, for smooth edges


def skeletons(
    image: Tensor, keypoints: Tensor, limbs: Sequence[tuple[int, int]], threshold: float = 0.0, by: str = ""
) -> Tensor:
    """Draw keypoints (N, K, 3) on a picture (3, H, W) uint8.

    Joints with a visibility or confidence not above `threshold` are left out, as are their limbs.
    by: "limb" for one colour per limb, "person" for one per person; default "limb" if there is one person.
    """
    base = to_image(image)
    people = keypoints.cpu().tolist()
    seen = [[p[2] > threshold and math.isfinite(p[0]) and math.isfinite(p[1]) for p in person] for person in people]
    by = by or ("person" if sum(map(any, seen)) > 1 else "limb")
    size = base.size
    drawn = base.resize((size[0] * SMOOTH, size[1] * SMOOTH), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(drawn)
    width = SMOOTH * max(2, round(max(size) / 220))
    of_people, of_limbs = distinct(len(people)), spectrum(len(limbs))
    for number, (person, visible) in enumerate(zip(people, seen, strict=True)):
        points = [tuple((v + 0.5) * SMOOTH - 0.5 for v in joint[:2]) for joint in person]
        _limbs(pen, points, visible, limbs, of_limbs if by == "limb" else [of_people[number]] * len(limbs), width)
        fill = (255, 255, 255) if by == "limb" else of_people[number]
        _joints(pen, points, visible, fill, width)
    return from_image(drawn.resize(size, Image.Resampling.BOX))


def _limbs(
    pen: ImageDraw.ImageDraw,
    points: Sequence[tuple[float, ...]],
    visible: Sequence[bool],
    limbs: Sequence[tuple[int, int]],
    colours: Sequence[Colour],
    width: int,
) -> None:
    """Draw limbs with a dark outline, so that they are visible on any background."""
    lines = [
        ((*points[a], *points[b]), c) for (a, b), c in zip(limbs, colours, strict=True) if visible[a] and visible[b]
    ]
    for line, _ in lines:
        pen.line(line, fill=(0, 0, 0), width=width + 2 * SMOOTH)
    for line, colour in lines:
        pen.line(line, fill=colour, width=width)


def _joints(
    pen: ImageDraw.ImageDraw, points: Sequence[tuple[float, ...]], visible: Sequence[bool], fill: Colour, width: int
) -> None:
    for (x, y), here in zip(points, visible, strict=True):
        if here:
            pen.ellipse((x - width, y - width, x + width, y + width), fill=fill, outline=(0, 0, 0), width=SMOOTH)
