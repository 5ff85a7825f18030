"""Targets of instances by their centers: two bytes per pixel and a short list, from which the device makes maps.

B images of H x W, at most N objects per image. Row i of the list belongs to the pixels with id i, row 0 to all others.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from densepred.ops.heatmap import centers
from densepred.ops.heatmap.gaussian import heatmaps
from densepred.types import VOID

NONE, SINGLE, CROWD = range(3)
"""Kinds of rows; rows that pad the list of an image are of no kind."""

TYPES = (torch.uint8, torch.int16, torch.int32)


def listed(labels: Tensor, ids: Tensor, single: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """Return the targets of an image: class map `semantic`, ids `instances` (H, W), and `objects` (1 + N, 4) float32.

    A row of `objects` is x and y of the center, the kind, and the weight of its pixels in the loss of classes.

    labels: (H, W) uint8
    ids: (H, W) from 1, 0 elsewhere
    single: (N,) bool, false for crowds
    weights: (1 + N,)
    """
    points = centers.means(ids, len(single))
    if not single.all():
        crowds = ~torch.cat([single.new_ones(1), single])[ids.long()]
        points[~single] = centers.own_pixels(torch.where(crowds, ids, 0), points)[~single]
    rows = points.new_zeros(1 + len(single), 4)
    rows[1:, :2] = points
    rows[1:, 2] = torch.where(single, SINGLE, CROWD)
    rows[:, 3] = weights
    small = next(kind for kind in TYPES if len(single) <= torch.iinfo(kind).max)
    return {"semantic": labels, "instances": ids.to(small), "objects": rows}


def maps(targets: Mapping[str, Tensor], sigma: float, quantised: bool, weights: torch.dtype) -> dict[str, Tensor]:
    """Return the maps of a batch of `listed` targets: `center`, `offset`, and the weights of the three heads.

    It reads nothing on the host. The heat differs from that of a CPU by the rounding of the exponential function; all
    other numbers are equal.

    sigma: of the Gaussians in pixels; they end a pixel beyond three sigmas, as in the published code
    quantised: place Gaussians on whole pixels
    weights: type of `semantic_weight`
    """
    labels, ids, objects = targets["semantic"], targets["instances"], targets["objects"]
    batch, height, width = ids.shape
    rows, per_image = objects.flatten(0, 1), objects.shape[1]
    images = torch.arange(batch, dtype=torch.int32, device=ids.device)
    owner = rows.index_select(0, (ids + (images * per_image)[:, None, None]).flatten())
    owner = owner.view(batch, height, width, 4)
    kind = owner[..., 2]
    x, y = (torch.arange(n, dtype=torch.float32, device=ids.device) for n in (width, height))
    offset = torch.stack([owner[..., 0] - x, owner[..., 1] - y[:, None]], 1)
    known = labels != VOID
    return {
        "semantic": labels,
        "semantic_weight": owner[..., 3].to(weights),
        "center": _heat(objects, images, kind == CROWD, sigma, quantised),
        "center_weight": known & (kind != CROWD),
        "offset": torch.where((ids > 0)[:, None], offset, 0),
        "offset_weight": known & (kind == SINGLE),
    }


def _heat(objects: Tensor, images: Tensor, crowds: Tensor, sigma: float, quantised: bool) -> Tensor:
    """Return the heat maps (B, 1, H, W): of crowds in their own pixels, of single instances elsewhere."""
    batch, height, width = crowds.shape
    points, kinds = objects[..., :2], objects[..., 2]
    points = points.floor() if quantised else points
    reach = 3 + 1 / sigma
    # Rows of no kind go where their Gaussians meet no pixel: to select the others would wait for their number.
    points = torch.where((kinds == NONE)[..., None], -3 * (sigma * reach + 1), points)
    channels = images[:, None] + batch * (kinds == CROWD)
    heat = heatmaps(points.flatten(0, 1), channels.flatten(), 2 * batch, (height, width), sigma, reach)
    return torch.where(crowds, heat[batch:], heat[:batch])[:, None]
