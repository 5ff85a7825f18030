"""Kinds of errors of a class map: missed, spurious, displaced boundaries, confused classes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.draw import maps
from densepred.draw.panel import Entry
from densepred.types import VOID, Info

RIGHT, MISSED, SPURIOUS, BOUNDARY, CONFUSED, UNKNOWN = range(6)
COLOURS = {
    MISSED: ("missed", (213, 94, 0)),
    SPURIOUS: ("spurious", (0, 114, 178)),
    BOUNDARY: ("boundary", (240, 228, 66)),
    CONFUSED: ("confused", (204, 121, 167)),
}
"""Name and colour of each kind; colours of Okabe and Ito."""
NEAR = 0.005
"""Width of a boundary error as a share of the image's diagonal; at least one pixel."""


def kinds(prediction: Tensor, truth: Tensor, info: Info) -> Tensor:
    """Return the kind of error of each pixel: class maps (H, W) -> (H, W) uint8.

    BOUNDARY: the predicted class lies near in the ground truth, and the true one near in the prediction.
    MISSED, SPURIOUS: an object where background (or a stuff class) is predicted, and the reverse.
    CONFUSED: any other error. UNKNOWN: void in the ground truth.
    """
    wrong = (prediction != truth) & (truth != VOID)
    objects = torch.zeros(VOID + 1, dtype=torch.bool)
    objects[_objects(info)] = True
    there, found = objects[truth.long()], objects[prediction.long()]
    result = torch.full(truth.shape, CONFUSED, dtype=torch.uint8)
    result[there & ~found] = MISSED
    result[found & ~there] = SPURIOUS
    result[_displaced(prediction, truth, wrong)] = BOUNDARY
    result[~wrong] = RIGHT
    result[truth == VOID] = UNKNOWN
    return result


def draw(image: Tensor, found: Tensor) -> Tensor:
    """Draw kinds of errors (H, W) over a pale image (C, H, W); unknown pixels are dark."""
    pale = maps.rgb(image.cpu()).float().mean(0)
    grey = torch.where(found == UNKNOWN, pale * 0.3, 150 + pale * 0.4).round().to(torch.uint8)
    picture = grey.expand(3, -1, -1).clone()
    for kind, (_, colour) in COLOURS.items():
        picture[:, found == kind] = torch.tensor(colour, dtype=torch.uint8)[:, None]
    return picture


def legend(found: Tensor, prediction: Tensor, truth: Tensor, info: Info) -> list[Entry]:
    """Return an entry per kind with its share of the labelled pixels, and the pair that is confused most.

    Kinds that there cannot be without a background or things are left out.
    """
    count = max(1, int((found != UNKNOWN).sum()))
    possible = set(COLOURS) if _objects(info) else {BOUNDARY, CONFUSED}
    named = [(kind, *entry) for kind, entry in COLOURS.items() if kind in possible]
    entries = [(f"{name} {int((found == kind).sum()) / count:.1%}", colour) for kind, name, colour in named]
    confused = found == CONFUSED
    if confused.any():
        pairs = truth[confused].long() * (VOID + 1) + prediction[confused].long()
        most = int(pairs.bincount().argmax())
        true, guess = (info.classes[i] if i < len(info.classes) else str(i) for i in divmod(most, VOID + 1))
        entries[-1] = (f"{entries[-1][0]}, mostly {true} as {guess}", entries[-1][1])
    return entries


def _objects(info: Info) -> list[int]:
    """Return the things, or the classes beside the background; none if no class is background."""
    if info.things:
        return list(info.things)
    background = maps.backgrounds(info)
    return [i for i in range(len(info.classes)) if i not in background] if background else []


def _displaced(prediction: Tensor, truth: Tensor, wrong: Tensor) -> Tensor:
    width = max(1, round(NEAR * math.hypot(*truth.shape)))
    near_truth, near_prediction = torch.zeros_like(wrong), torch.zeros_like(wrong)
    for index in torch.cat([prediction[wrong], truth[wrong]]).unique().tolist():
        near_truth |= (prediction == index) & _near(truth == index, width)
        near_prediction |= (truth == index) & _near(prediction == index, width)
    return wrong & near_truth & near_prediction


def _near(mask: Tensor, width: int) -> Tensor:
    """Mark the pixels at most `width` columns and rows from the mask."""
    return F.max_pool2d(mask[None, None].float(), 2 * width + 1, 1, width)[0, 0] > 0
