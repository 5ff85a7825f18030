"""Apply a warp to a sample: to the image and every kind of annotation together."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from densepred.ops.boxes import from_ids
from densepred.ops.boxes.edges import areas, clip
from densepred.ops.geometry.bilinear import Sources
from densepred.ops.geometry.warp import (
    IDENTITY,
    Warp,
    compose,
    determinant,
    locate,
    warp_image,
    warp_labels,
    warp_points,
)
from densepred.ops.pose.left_right import mirror_order
from densepred.types import VOID, Annotation, Sample

Pairs = tuple[tuple[int, int], ...]
NOWHERE = ((math.nan,) * 3,) * 2
"""Matrix of an input that no affine map leads back to its image."""


def apply(sample: Sample, warp: Warp, mirrored: Pairs = ()) -> Sample:
    """Warp a sample. Pixels from outside the image are its mean colour, and VOID in the class map.

    mirrored: pairs of keypoints to swap if the warp mirrors the image.
    After a warp with a flow, the matrix of the frame is `NOWHERE`.
    """
    if moves_nothing(warp, sample.truth.size):
        return sample
    sources = locate(warp, sample.truth.size)
    moved = apply_beside_image(sample, warp, mirrored, sources)
    return replace(moved, image=warp_image(sample.image, warp, sources=sources))


def moves_nothing(warp: Warp, size: tuple[int, int]) -> bool:
    """Return true if a warp of an image of `size` changes nothing."""
    return warp.matrix == IDENTITY and warp.size == size and warp.flow is None


def apply_beside_image(sample: Sample, warp: Warp, mirrored: Pairs, sources: Sources | None) -> Sample:
    """Warp the annotation and the frame of a sample; its image stays as it is.

    sources: the result of `locate` for the same warp and image
    """
    lost = warp.flow is not None or sample.frame.matrix is NOWHERE
    matrix = NOWHERE if lost else compose(sample.frame.matrix, warp.matrix)
    frame = replace(sample.frame, matrix=matrix, input_size=warp.size)
    return replace(sample, truth=apply_to_annotation(sample.truth, warp, mirrored, sources), frame=frame)


def apply_to_annotation(
    truth: Annotation, warp: Warp, mirrored: Pairs = (), sources: Sources | None = None
) -> Annotation:
    """Warp an annotation; instances that leave the image are dropped and the others renumbered.

    `masks` and `probabilities` cannot be warped: they become None.
    sources: the result of `locate` for the same warp and image, if known.
    """
    truth = replace(truth, masks=None)
    out = Annotation(
        warp.size,
        semantic=_labels(truth.semantic, warp, VOID, sources),
        instances=_labels(truth.instances, warp, 0, sources),
        ignore=_labels(truth.ignore, warp, True, sources),
        image=None if truth.image is None else warp_image(truth.image, warp, sources=sources),
        categories=truth.categories,
        scores=truth.scores,
        crowd=truth.crowd,
    )
    if truth.keypoints is not None:
        out.keypoints = _keypoints(truth.keypoints, warp, mirrored)
    if not truth.rows():
        return out
    _apply_to_extents(truth, out, warp, truth.count)
    kept = _seen(truth, out, truth.count)
    return out if kept.all() else out.select(kept)


def _device(truth: Annotation) -> torch.device:
    """Return the device of an annotation with instances; that of its fields, which lie together."""
    found = [value for value in (truth.instances, *truth.rows().values()) if isinstance(value, Tensor)]
    return found[0].device if found else torch.device("cpu")


def _labels(labels: Tensor | None, warp: Warp, fill: float, sources: Sources | None) -> Tensor | None:
    return None if labels is None else warp_labels(labels, warp, fill, sources)


def _keypoints(keypoints: Tensor, warp: Warp, mirrored: Pairs) -> Tensor:
    """Warp keypoints (N, K, 3); those that leave the image get visibility 0, those that have it move to (0, 0)."""
    height, width = warp.size
    points = warp_points(keypoints[..., :2], warp)
    known = keypoints[..., 2:] > 0
    x, y = points[..., :1], points[..., 1:]
    inside = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    seen = torch.where(inside, keypoints[..., 2:], torch.zeros(()))
    out = torch.cat((torch.where(known, points, torch.zeros(())), seen), -1)
    if determinant(warp.matrix) > 0 or not mirrored:
        return out
    return out[:, list(mirror_order(mirrored, out.shape[1]))]


def _apply_to_extents(truth: Annotation, out: Annotation, warp: Warp, count: int) -> None:
    """Set boxes and areas: warped, clipped and scaled.

    Boxes that are exactly the extent of the visible pixels stay so, and their areas the number of these pixels.
    Other boxes come from a file and may include hidden parts, which the map of ids does not show.
    Head boxes are warped only: their diagonal is a unit of length, and clipping would shorten it.
    """
    visible = _visible(truth, count)
    pixels = None if out.instances is None else from_ids.areas(out.instances, count)
    kept = torch.ones(count, device=_device(truth))
    if truth.boxes is not None:
        whole = _outline(truth.boxes, warp)
        out.boxes = clip(whole, warp.size)
        kept = areas(out.boxes) / areas(whole).clamp_min(1e-6)
        if pixels is not None and out.instances is not None:
            tight = visible & (pixels > 0)
            out.boxes = torch.where(tight[:, None], from_ids.boxes(out.instances, count), out.boxes)
    if truth.head_boxes is not None:
        out.head_boxes = _outline(truth.head_boxes, warp)
    if truth.areas is not None:
        scaled = truth.areas * kept / abs(determinant(warp.matrix))
        out.areas = scaled if pixels is None else torch.where(visible, pixels, scaled)


def _visible(truth: Annotation, count: int) -> Tensor:
    """Mark instances with a box, if any, that is exactly the extent of their visible pixels, (N,) bool."""
    if truth.instances is None:
        return torch.zeros(count, dtype=torch.bool, device=_device(truth))
    if truth.boxes is None:
        return torch.ones(count, dtype=torch.bool, device=_device(truth))
    return (from_ids.boxes(truth.instances, count) == truth.boxes).all(1)


def _outline(boxes: Tensor, warp: Warp) -> Tensor:
    """Return upright boxes (N, 4) around the warped corners and centers of edges; a flow bends edges."""
    x0, y0, x1, y1 = boxes.unbind(1)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    columns = torch.stack((x0, x, x1, x0, x1, x0, x, x1), 1)
    rows = torch.stack((y0, y0, y0, y, y, y1, y1, y1), 1)
    points = warp_points(torch.stack((columns, rows), -1), warp)
    return torch.cat((points.amin(1), points.amax(1)), 1)


def _seen(truth: Annotation, out: Annotation, count: int) -> Tensor:
    """Mark instances of which something is left, (N,) bool: a pixel, a keypoint, a part of the box of hidden ones.

    Instances without a visible pixel are hidden, and all are without a map of ids. Without any field all are kept.
    """
    if out.instances is None and out.boxes is None and out.keypoints is None:
        return torch.ones(count, dtype=torch.bool, device=_device(truth))
    kept = torch.zeros(count, dtype=torch.bool, device=_device(truth))
    hidden = torch.ones(count, dtype=torch.bool, device=_device(truth))
    if truth.instances is not None and out.instances is not None:
        kept |= from_ids.areas(out.instances, count) > 0
        hidden = from_ids.areas(truth.instances, count) == 0
    if out.boxes is not None:
        kept |= hidden & (areas(out.boxes) > 0)
    if out.keypoints is not None:
        kept |= (out.keypoints[..., 2] > 0).any(1)
    return kept
