"""What each head says beside what it should say, whatever the task: pictures for TensorBoard.

One sample: C channels, h x w cells, L cells of several levels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from densepred.draw import maps
from densepred.draw.comparison import beside
from densepred.draw.fields import montage, over, sized, strongest, vectors_over, with_compass
from densepred.types import HeadSpec, Info

SIDE = 384
"""The longer side of a picture of one map, more or less."""


def pictures(
    image: Tensor,
    outputs: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    heads: Mapping[str, HeadSpec],
    info: Info,
) -> Iterator[tuple[str, Tensor]]:
    """For each head of numbers its name and a picture: the target to the left, what the head says to the right.

    image: the network's input (C, H, W); outputs: each (C, h, w), or (C, L) of a head on several levels. One channel is
    heat, two are vectors unless they are lengths, twice the limbs are vectors of limbs, of more each is a tile. Logits
    of sigmoids are shown as probabilities, class maps decoded.
    """
    for name, spec in heads.items():
        said, wanted = outputs[name].float().cpu(), targets.get(name)
        said = said if spec.prior is None else said.sigmoid()
        if len(spec.strides) > 1:
            yield name, _levels(image, said, wanted, spec.strides)
        elif spec.kind == "values" and said.shape != image.shape:  # a head that draws images is shown decoded
            both = [said] if wanted is None or len(wanted) != len(said) else [wanted.float().cpu(), said]
            yield name, _maps(image, both, info, spec)


def cut(values: Tensor, strides: Sequence[int], size: tuple[int, int]) -> list[Tensor]:
    """(C, L) into its levels, each (C, h, w), for an input of `size`."""
    sizes = [(math.ceil(size[0] / s), math.ceil(size[1] / s)) for s in strides]
    parts = values.split([h * w for h, w in sizes], -1)
    return [part.unflatten(-1, shape) for part, shape in zip(parts, sizes, strict=True)]


def _maps(image: Tensor, both: Sequence[Tensor], info: Info, spec: HeadSpec) -> Tensor:
    channels = len(both[0])
    ground = sized(maps.rgb(image.cpu()), SIDE)
    if channels == 1:
        return beside([over(ground, x[0]) for x in both])
    limbs = channels == 2 * len(info.limbs)
    if limbs or (channels == 2 and not spec.positive):
        fields = [strongest(x) if limbs else x for x in both]
        longest = float(torch.linalg.vector_norm(fields[0].nan_to_num(), dim=0).max())
        return beside([with_compass(vectors_over(ground, x, longest)) for x in fields])
    names = info.keypoints if len(info.keypoints) == channels else info.classes
    if channels == len(info.keypoints) + 1:
        names = (*info.keypoints, "background")
    return beside([montage(ground, x, spec.names or names) for x in both])


def _levels(image: Tensor, said: Tensor, wanted: Tensor | None, strides: Sequence[int]) -> Tensor:
    """A row for each level: the largest channel of the target and of the head."""
    size = (int(image.shape[-2]), int(image.shape[-1]))
    ground = sized(maps.rgb(image.cpu()), SIDE)
    both = [said] if wanted is None or wanted.shape != said.shape else [wanted.float().cpu(), said]
    columns = [[over(ground, level.amax(0), float(x.max())) for level in cut(x, strides, size)] for x in both]
    return beside([_stacked(tiles) for tiles in columns])


def _stacked(tiles: Sequence[Tensor]) -> Tensor:
    gap = torch.full((3, maps.GAP, tiles[0].shape[-1]), 255, dtype=torch.uint8)
    return torch.cat([piece for tile in tiles for piece in (tile, gap)][:-1], dim=1)
