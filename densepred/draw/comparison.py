"""All that an annotation holds as one picture, and truth and prediction side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from densepred.draw import maps
from densepred.draw.boxes import boxes
from densepred.draw.instances import caption, distinct, outlines, overlay
from densepred.draw.pose import skeletons
from densepred.types import Annotation, Info

LEGIBLE = 480
"""The longer side in pixels that a picture with words, boxes or skeletons has at the least."""
SIDE = 40
"""The side in pixels that most instances have at the least, for their numbers ..."""
LARGEST = 1600
"""... unless the picture would be longer than this."""


def drawn(image: Tensor, found: Annotation, info: Info, threshold: float = 0.0, largest: int = LARGEST) -> Tensor:
    """The image with what was found in it: segments, boxes where no segments show them, skeletons.

    Instances and boxes with scores and keypoints with confidences not above `threshold` are left out. Class maps alone
    keep the size of the image, all else is enlarged so far that it can be read, for the sake of small instances up to
    `largest` pixels.
    """
    picture = maps.rgb(image)
    if not by_instance(found):
        return picture if found.semantic is None else maps.overlay(picture, found.semantic.cpu(), info.palette)
    found, numbers = sure(found, threshold)
    picture, found = enlarged(picture, found, largest)
    if found.instances is not None:
        picture = overlay(picture, found, info, numbers=numbers)
    elif found.boxes is not None:
        count = len(found.boxes)
        texts = [caption(found, info, i) for i in range(count)]
        picture = boxes(picture, found.boxes, distinct(count), texts)
    if found.keypoints is not None:
        picture = skeletons(picture, found.keypoints, info.limbs, threshold)
    return picture


def by_instance(found: Annotation) -> bool:
    return any(value is not None for value in (found.instances, found.boxes, found.keypoints))


def sure(found: Annotation, threshold: float) -> tuple[Annotation, list[int] | None]:
    """The annotation with the instances alone whose score is above `threshold`, and which they were, from 1.

    Without scores it is as it was.
    """
    if found.scores is None or not threshold:
        return found, None
    keep = found.scores > threshold
    return found.select(keep), (keep.nonzero()[:, 0] + 1).tolist()


def enlarged(picture: Tensor, found: Annotation, largest: int = LEGIBLE) -> tuple[Tensor, Annotation]:
    """Both with every pixel of a small picture repeated, so often that words on it can be read."""
    side = max(picture.shape[-2:])
    factor = max(1, -(-LEGIBLE // side), min(largest // side, _magnification(found)))
    if factor == 1:
        return picture, found

    def repeated(values: Tensor | None) -> Tensor | None:
        return None if values is None else values.repeat_interleave(factor, -2).repeat_interleave(factor, -1)

    def moved(values: Tensor | None, numbers: int) -> Tensor | None:
        """The first `numbers` of the last dimension are coordinates; pixel 0 becomes 0 to factor - 1."""
        if values is None:
            return None
        return torch.cat([values[..., :numbers] * factor + (factor - 1) / 2, values[..., numbers:]], -1)

    height, width = found.size
    fields = {name: repeated(getattr(found, name)) for name in ("semantic", "instances")}
    fields |= {"boxes": moved(found.boxes, 4), "keypoints": moved(found.keypoints, 2)}
    large = repeated(picture)
    assert large is not None
    return large, replace(found, size=(height * factor, width * factor), **fields)


def _magnification(found: Annotation) -> int:
    """How often pixels are to be repeated for half of the instances to be `SIDE` pixels wide, by their areas."""
    if found.instances is None or not found.instances.any():
        return 1
    pixels = torch.bincount(found.instances.cpu().long().reshape(-1))[1:]
    return math.ceil(SIDE / math.sqrt(float(pixels[pixels > 0].double().median())))


def panel(image: Tensor, prediction: Annotation, truth: Annotation, info: Info, more: Sequence[Tensor] = ()) -> Tensor:
    """Image, truth, prediction and error side by side, then `more` tiles of the same size.

    A truth that is the image itself is shown once. Of the truth only what the prediction holds too is shown.
    """
    parts = [maps.rgb(image)]
    if by_instance(prediction):
        known = _fields_of(truth, prediction)
        parts += [drawn(image, one, info, largest=LEGIBLE) for one in (known, prediction)]
        if prediction.instances is not None and truth.instances is not None:
            parts.append(contours(image, prediction.instances.cpu(), truth.instances.cpu()))
    elif prediction.semantic is not None and truth.semantic is not None:
        guess, labels = prediction.semantic.cpu(), truth.semantic.cpu()
        parts += [maps.colours(labels, info.palette), maps.colours(guess, info.palette), maps.errors(guess, labels)]
    if prediction.image is not None and truth.image is not None:
        clean = maps.rgb(truth.image.cpu())
        if not torch.equal(clean, parts[0]):  # the network was shown a damaged copy
            parts.append(clean)
        parts += [maps.rgb(prediction.image.cpu()), maps.difference(prediction.image, truth.image)]
    return beside([*parts, *more])


def contours(image: Tensor, found: Tensor, truth: Tensor) -> Tensor:
    """A faint image with outlines: of the truth's instances green, of those found red, where both are yellow."""
    grey = maps.rgb(image).float().mean(0) * 0.5
    a, b = outlines(found.long()), outlines(truth.long())
    bright = torch.tensor(255.0)
    red, green = torch.where(a, bright, grey * ~b), torch.where(b, bright, grey * ~a)
    return torch.stack([red, green, grey * ~(a | b)]).round().to(torch.uint8)


def beside(parts: Sequence[Tensor]) -> Tensor:
    """Pictures side by side with white between them, smaller ones with their pixels repeated."""
    height = max(part.shape[-2] for part in parts)
    same = [part.repeat_interleave(f, 1).repeat_interleave(f, 2) for part in parts for f in [height // part.shape[-2]]]
    gap = torch.full((3, height, maps.GAP), 255, dtype=torch.uint8)
    return torch.cat([piece for part in same for piece in (part, gap)][:-1], dim=2)


def _fields_of(truth: Annotation, prediction: Annotation) -> Annotation:
    """The truth's instances, and of its other fields those that the prediction has."""
    optional = ("semantic", "instances", "keypoints", "boxes")
    return replace(truth, **{name: None for name in optional if getattr(prediction, name) is None})
