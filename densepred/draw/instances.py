"""Instances and panoptic segments over an image: colours, outlines, and captions with number and score.

N instances, H x W pixels.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import torch
from torch import Tensor

from densepred.draw import maps
from densepred.draw.boxes import Caption, write
from densepred.ops.boxes.from_ids import boxes
from densepred.types import VOID, Annotation, Info

GOLDEN = 0.618034  # turns of the hue: neighbours in the sequence differ for any count
NEAR = ((0.0, 1.0, 1.0), (0.035, 0.75, 0.8), (-0.035, 0.9, 1.2), (0.06, 1.0, 0.65), (-0.06, 0.6, 1.1), (0.02, 1.2, 0.5))
"""Step of hue and factors of saturation and value, from the colour of a class to colours of its instances."""

FEW = 20  # instances with captions on a background; with more, captions would hide the image

Colour = tuple[int, int, int]


def distinct(count: int) -> list[Colour]:
    """Return colours of which consecutive ones differ clearly."""
    return [_rgb(i * GOLDEN, (0.85, 0.6, 1.0)[i % 3], (1.0, 0.95, 0.8)[i % 3]) for i in range(count)]


def spectrum(count: int) -> list[Colour]:
    """Return evenly spaced colours from red over green to violet."""
    return [_rgb(0.85 * i / max(1, count), 0.9, 1.0) for i in range(count)]


def near(colour: Sequence[int], number: int) -> Colour:
    """Return the colour of the `number`-th instance of a class: close to the class, unlike the previous instance."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in colour))
    step, more, brighter = NEAR[number % len(NEAR)]
    turn = 0.01 * (number // len(NEAR) % 7)  # beyond the table the hue drifts
    return _rgb(hue + step + turn, min(1.0, max(0.25, saturation) * more), min(1.0, max(0.35, value) * brighter))


def shades(annotation: Annotation, info: Info) -> list[Colour]:
    """Return one colour per instance: close to its class if there is a class map, else distinct from the others."""
    categories = _list(annotation.categories)
    count = len(categories) or annotation.count
    if annotation.semantic is None or not info.palette or not categories:
        return distinct(count)
    seen: dict[int, int] = {}
    found = []
    for category in categories:
        number = seen[category] = seen.get(category, -1) + 1
        known = 0 <= category < len(info.palette)
        found.append(near(info.palette[category], number) if known else distinct(number + 1)[-1])
    return found


def overlay(
    image: Tensor,
    annotation: Annotation,
    info: Info,
    opacity: float = 0.55,
    captions: bool = True,
    numbers: Sequence[int] | None = None,
) -> Tensor:
    """Draw instances over an image (C, H, W); with a class map, stuff classes in their own colours.

    Void stays clear. Captions hold number, class and score; `numbers` are the numbers of the instances, by default
    1, 2, ...
    """
    ids = annotation.need("instances").cpu().long()
    colours = shades(annotation, info)
    table = torch.tensor([(0, 0, 0), *colours], dtype=torch.uint8)
    above = table[ids.clamp(max=len(colours))].permute(2, 0, 1)
    share = torch.where(ids > 0, opacity, 0.0)
    if annotation.semantic is not None:
        labels = annotation.semantic.cpu()
        stuff = (ids == 0) & (labels != VOID)
        for thing in info.things:
            stuff &= labels != thing
        for background in maps.backgrounds(info):
            stuff &= labels != background
        above = torch.where(stuff, maps.colours(labels, info.palette), above)
        share = torch.where(stuff, opacity, share)
    mixed = (maps.rgb(image).float() * (1 - share) + above.float() * share).round().to(torch.uint8)
    mixed = torch.where(outlines(ids), torch.tensor(255, dtype=torch.uint8), mixed)
    return write(mixed, labels_of(annotation, info, colours, numbers)) if captions else mixed


def outlines(ids: Tensor) -> Tensor:
    """Mark the pixels of an instance next to a pixel outside it: ids (H, W) -> (H, W) bool."""
    edge = torch.zeros_like(ids, dtype=torch.bool)
    across, down = ids[:, 1:] != ids[:, :-1], ids[1:] != ids[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge & (ids > 0)


def labels_of(
    annotation: Annotation, info: Info, colours: Sequence[Colour], numbers: Sequence[int] | None = None
) -> list[Caption]:
    """Return a caption per visible instance, at its pixel nearest to its center of mass.

    If there are more than `FEW`, captions must fit into the boxes of their instances.
    """
    ids = annotation.need("instances").cpu().long()
    y, x = torch.nonzero(ids, as_tuple=True)
    owner, number = ids[y, x] - 1, len(colours)
    count = torch.bincount(owner, minlength=number).clamp(min=1)
    across, down = (torch.bincount(owner, value.double(), minlength=number) / count for value in (x, y))
    distance = torch.hypot(x - across[owner], y - down[owner])
    least = torch.full((number,), torch.inf, dtype=distance.dtype).scatter_reduce(0, owner, distance, "amin")
    nearest = torch.nonzero(distance == least[owner])[:, 0].flip(0)  # of equally near ones the first is kept
    places = {int(owner[i]): (float(x[i]), float(y[i])) for i in nearest}
    corners = boxes(ids, number)
    rooms: list[list[float]] = (corners[:, 2:] - corners[:, :2]).tolist()
    names = list(range(1, number + 1)) if numbers is None else numbers
    return [
        Caption(
            caption(annotation, info, i, names[i]),
            places[i],
            colours[i],
            "middle",
            str(names[i]),
            None if len(places) <= FEW else (rooms[i][0], rooms[i][1]),
        )
        for i in sorted(places)
    ]


def caption(annotation: Annotation, info: Info, index: int, number: int | None = None) -> str:
    """Return number (the id in the map), class and score, for example `#3: disc 0.97`."""
    words: list[str] = []
    if annotation.categories is not None and len(info.classes) > 2:
        category = int(annotation.categories[index])
        words.append(info.classes[category] if 0 <= category < len(info.classes) else str(category))
    if annotation.scores is not None:
        words.append(f"{float(annotation.scores[index]):.2f}")
    if number is None:
        return " ".join(words)
    return f"#{number}: {' '.join(words)}" if words else f"#{number}"  # in small letters a space alone is not seen


def _list(values: Tensor | None) -> list[int]:
    return [] if values is None else [int(value) for value in values.tolist()]


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = (round(255 * channel) for channel in colorsys.hsv_to_rgb(hue % 1, saturation, value))
    return red, green, blue
