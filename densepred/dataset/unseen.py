"""Objects where an image has no data: neither learnt nor scored."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.dataset import run_length
from densepred.types import VOID, Annotation


def hide(truth: Annotation, void: Tensor) -> None:
    """Take the pixels without data, (H, W) bool, from an annotation in place: void, `ignore`, and of no instance.

    Objects without any other pixel become crowds, which no task learns and no metric expects. Areas shrink by the share
    of the pixels that are lost. Boxes stay whole, as those of objects that others hide.
    """
    if truth.semantic is not None:
        truth.semantic[void] = VOID
    truth.ignore = void if truth.ignore is None else truth.ignore | void
    if not truth.count or not bool(void.any()):
        return
    before, after = _visible(truth, torch.zeros_like(void)), _visible(truth, void)
    if truth.masks is not None:
        truth.masks = [run_length.without(one, void) for one in truth.masks]
    if truth.instances is not None:
        truth.instances = truth.instances.masked_fill(void, 0)
    if truth.areas is not None:
        truth.areas = truth.areas * (after / before.clamp(min=1)).where(before > 0, 1).to(truth.areas.dtype)
    if bool((gone := (before > 0) & (after == 0)).any()):
        truth.crowd = gone if truth.crowd is None else truth.crowd | gone


def _visible(truth: Annotation, void: Tensor) -> Tensor:
    """Return the number of pixels per object outside `void`, (N,) float64: of its mask, else of its box."""
    count = truth.count
    found = torch.zeros(count, dtype=torch.float64)
    whole = torch.zeros(count, dtype=torch.bool)  # objects with a mask
    if truth.masks is not None:
        whole = run_length.area(truth.masks) > 0
        found = run_length.area([run_length.without(one, void) for one in truth.masks]).double()
    elif truth.instances is not None:
        ids = truth.instances.long()
        whole = torch.bincount(ids.flatten(), minlength=count + 1)[1:] > 0
        found = torch.bincount(ids[~void], minlength=count + 1)[1:].double()
    if truth.boxes is not None:
        for index in (~whole).nonzero()[:, 0].tolist():
            found[index] = (run_length.inside(truth.boxes[index : index + 1], truth.size) & ~void).sum()
    return found
