"""Pictures of predictions before decoding: heatmaps, offsets, vector fields. h x w locations, C channels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.draw.boxes import Caption, write
from densepred.draw.maps import GAP, rgb
from densepred.nn import ceil_div
from densepred.output import many

TILE = 256
"""Approximate length of the longer side of the tiles of a montage."""

MOST = 25
"""Largest number of maps in a montage; with more, the last tile is the maximum of the others."""


def wheel(field: Tensor, longest: float | None = None) -> Tensor:
    """Draw vectors (2, h, w), x and y, as colours: hue for direction, brightness for length.

    Right is red, down yellow-green, left cyan, up violet. Full brightness is a length of `longest`, by default that of
    the longest vector; zero is black.
    """
    x, y = field.float().nan_to_num()
    length = torch.hypot(x, y)
    value = (length / max(float(length.max()) if longest is None else longest, 1e-6)).clamp(max=1)
    hue = torch.atan2(y, x) / (2 * math.pi) % 1
    # The colours of a fully saturated hue, as HSV defines them.
    shift = torch.tensor([5.0, 3.0, 1.0], device=hue.device)[:, None, None]
    k = (shift + hue * 6) % 6
    return rgb(value * (1 - torch.minimum(k, 4 - k).clamp(0, 1)))


def strongest(field: Tensor) -> Tensor:
    """Reduce fields (2 L, h, w), x and y alternating, to the longest vector per location: (2, h, w)."""
    pairs = field.float().nan_to_num().unflatten(0, (-1, 2))  # (L, 2, h, w)
    index = torch.linalg.vector_norm(pairs, dim=1).argmax(0)
    return pairs.gather(0, index.expand(1, 2, *index.shape))[0]


def compass(side: int) -> Tensor:
    """Draw the legend of `wheel`: a disc (3, side, side) of all directions on white."""
    steps = (torch.arange(side) - (side - 1) / 2) / (side / 2)
    field = torch.stack(torch.meshgrid(steps, steps, indexing="xy"))
    inside = torch.hypot(*field) <= 1
    return torch.where(inside, wheel(field, 1.0), torch.tensor(255, dtype=torch.uint8))


def with_compass(picture: Tensor) -> Tensor:
    """Draw the legend of the colours in the lower right corner of a picture."""
    side = min(int(min(picture.shape[-2:])) // 4, 64)
    if side < 5:
        return picture
    picture = picture.clone()
    picture[:, -side:, -side:] = compass(side)
    return picture


def over(image: Tensor, heat: Tensor, largest: float | None = None) -> Tensor:
    """Draw a heatmap (h, w) over a faint grey image (3, H, W), at the size of the image; negative values count as 0."""
    full = F.interpolate(heat[None, None].float().nan_to_num().clamp(min=0), image.shape[-2:], mode="bilinear")[0, 0]
    top = max(float(full.max()) if largest is None else largest, 1e-6)
    share = (full / top).clamp(max=1)
    grey = rgb(image).float().mean(0, keepdim=True) * 0.6
    glow = torch.stack([3 * share, 3 * share - 1, 3 * share - 2]).clamp(0, 1) * 255
    mix = (2 * share).clamp(max=1)
    return (grey * (1 - mix) + glow * mix).round().to(torch.uint8)


def vectors_over(image: Tensor, field: Tensor, longest: float | None = None) -> Tensor:
    """Draw vectors (2, h, w) as colours over a faint grey image (3, H, W), at its size; zeros are transparent."""
    full = F.interpolate(field[None].float().nan_to_num(), image.shape[-2:], mode="bilinear")[0]
    length = torch.hypot(*full)
    top = max(float(length.max()) if longest is None else longest, 1e-6)
    share = (3 * length / top).clamp(max=1)
    grey = rgb(image).float().mean(0, keepdim=True) * 0.6
    return (grey * (1 - share) + wheel(full, top).float() * share).round().to(torch.uint8)


def montage(image: Tensor, maps: Tensor, names: Sequence[str] = (), largest: float | None = None) -> Tensor:
    """Draw each channel of (C, h, w) over the image with its name, in a grid about as wide as it is high."""
    names = list(names) if len(names) == len(maps) else [str(i) for i in range(len(maps))]
    if len(maps) > MOST:
        rest = maps[MOST - 1 :].amax(0, keepdim=True)
        maps, names = (
            torch.cat([maps[: MOST - 1], rest]),
            [*names[: MOST - 1], many(len(names) - MOST + 1, "other")],
        )
    top = max(float(maps.nan_to_num().max()) if largest is None else largest, 1e-6)
    named = [Caption(name, (0.0, 0.0), (0, 0, 0)) for name in names]
    ground = sized(rgb(image), TILE)
    tiles = [over(ground, heat, top) for heat in maps.cpu()]
    return grid([write(tile, [name]) for tile, name in zip(tiles, named, strict=True)])


def sized(picture: Tensor, longest: int) -> Tensor:
    """Resize a picture to a longer side near `longest`: enlarged by an integer factor, or reduced by any factor."""
    height, width = picture.shape[-2:]
    share = longest / max(height, width)
    share = math.floor(share) if share >= 1 else share
    size = (max(1, round(height * share)), max(1, round(width * share)))
    mode = "nearest" if share >= 1 else "area"
    return F.interpolate(picture[None].float(), size, mode=mode)[0].round().to(torch.uint8)


def grid(tiles: Sequence[Tensor]) -> Tensor:
    """Place pictures of one size (3, H, W) in rows, with white between them."""
    height, width = tiles[0].shape[-2:]
    columns = min(len(tiles), max(1, round(math.sqrt(len(tiles) * height / width))))
    rows = ceil_div(len(tiles), columns)
    gap = GAP
    sheet = torch.full((3, rows * (height + gap) - gap, columns * (width + gap) - gap), 255, dtype=torch.uint8)
    for i, tile in enumerate(tiles):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[:, top : top + height, left : left + width] = tile
    return sheet
