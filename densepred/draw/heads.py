"""Pictures of the predictions and targets of each head, for TensorBoard and any task.

One sample: C channels, h x w locations, L locations of several levels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from densepred.draw import maps
from densepred.draw.comparison import side_by_side
from densepred.draw.fields import montage, over, sized, strongest, vectors_over, with_compass
from densepred.nn import ceil_div
from densepred.types import HeadSpec, Info

SIDE = 384
"""Approximate length of the longer side of a picture of one map."""


def pictures(
    image: Tensor,
    outputs: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    heads: Mapping[str, HeadSpec],
    info: Info,
) -> Iterator[tuple[str, Tensor]]:
    """Yield name and picture of each head of values: target on the left, prediction on the right.

    image: (C, H, W), the network input
    outputs: each (C, h, w), or (C, L) for a head on several levels

    One channel is drawn as a heatmap. Two are vectors, unless they are lengths. Twice the number of limbs are vectors
    of limbs. Any other number is drawn as one tile per channel. Logits of sigmoids are drawn as probabilities. Both
    sides have the target's scale.
    """
    for name, spec in heads.items():
        predicted, target = outputs[name].float().cpu(), targets.get(name)
        predicted = predicted if spec.prior is None else predicted.sigmoid()
        if len(spec.strides) > 1:
            yield name, _levels(image, predicted, target, spec.strides)
        elif spec.kind == "values" and predicted.shape != image.shape:  # predicted images are drawn from the annotation
            both = [predicted] if target is None or len(target) != len(predicted) else [target.float().cpu(), predicted]
            yield name, _maps(image, both, info, spec)


def cut(values: Tensor, strides: Sequence[int], size: tuple[int, int]) -> list[Tensor]:
    """Split (C, L) into levels, each (C, h, w), for an input of `size`."""
    sizes = [(ceil_div(size[0], s), ceil_div(size[1], s)) for s in strides]
    parts = values.split([h * w for h, w in sizes], -1)
    return [part.unflatten(-1, shape) for part, shape in zip(parts, sizes, strict=True)]


def _maps(image: Tensor, both: Sequence[Tensor], info: Info, spec: HeadSpec) -> Tensor:
    channels, largest = len(both[0]), _largest(both)
    ground = sized(maps.rgb(image.cpu()), SIDE)
    if channels == 1:
        return side_by_side([over(ground, x[0], largest) for x in both])
    limbs = channels == 2 * len(info.limbs)
    if limbs or (channels == 2 and not spec.positive):
        fields = [strongest(x) if limbs else x for x in both]
        longest = float(torch.linalg.vector_norm(fields[0].nan_to_num(), dim=0).max())
        return side_by_side([with_compass(vectors_over(ground, x, longest)) for x in fields])
    names = info.keypoints if len(info.keypoints) == channels else info.classes
    if channels == len(info.keypoints) + 1:
        names = (*info.keypoints, "background")
    return side_by_side([montage(ground, x, spec.names or names, largest) for x in both])


def _largest(both: Sequence[Tensor]) -> float:
    """Return the largest value of the target, or of the prediction if there is no target or nothing in it."""
    return next((top for top in (float(x.nan_to_num().max()) for x in both) if top > 0), 1.0)


def _levels(image: Tensor, predicted: Tensor, target: Tensor | None, strides: Sequence[int]) -> Tensor:
    """Draw one row per level: the maximum over channels of the target and of the prediction, on the target's scale."""
    size = (int(image.shape[-2]), int(image.shape[-1]))
    ground = sized(maps.rgb(image.cpu()), SIDE)
    both = [predicted] if target is None or target.shape != predicted.shape else [target.float().cpu(), predicted]
    largest = _largest(both)
    columns = [[over(ground, level.amax(0), largest) for level in cut(x, strides, size)] for x in both]
    return side_by_side([_stacked(tiles) for tiles in columns])


def _stacked(tiles: Sequence[Tensor]) -> Tensor:
    gap = torch.full((3, maps.GAP, tiles[0].shape[-1]), 255, dtype=torch.uint8)
    return torch.cat([piece for tile in tiles for piece in (tile, gap)][:-1], dim=1)
