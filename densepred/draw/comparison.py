"""One picture of all fields of an annotation, and ground truth and prediction side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from densepred.draw import maps, mistakes
from densepred.draw.boxes import boxes
from densepred.draw.instances import caption, distinct, outlines, overlay
from densepred.draw.panel import Entry, classes, panel
from densepred.draw.pose import skeletons
from densepred.nn import ceil_div
from densepred.types import Annotation, Info

LEGIBLE = 480
"""Minimum length in pixels of the longer side of a picture with words, boxes or skeletons."""
SIDE = 40
"""Minimum side in pixels of half of the instances, for their numbers ..."""
LARGEST = 1600
"""... unless the picture would be longer than this."""
OF_TRUTH, OF_PREDICTION = (230, 159, 0), (86, 180, 233)


def draw(image: Tensor, found: Annotation, info: Info, threshold: float = 0.0, largest: int = LARGEST) -> Tensor:
    """Draw an annotation over its image (C, H, W): segments, boxes if there are no segments, skeletons.

    Instances, boxes and keypoints with a score not above `threshold` are left out. Class maps alone keep the size of
    the image. Other pictures are enlarged until they are legible, for small instances up to `largest` pixels.
    """
    picture = maps.rgb(image)
    if not by_instance(found):
        return picture if found.semantic is None else _classes_over(picture, found.semantic.cpu(), info)
    found, numbers = confident(found, threshold)
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


def hidden(found: Annotation, threshold: float) -> float | None:
    """Return the highest score if every instance or person is left out of the picture; None if not, or without any."""
    scores = None if found.scores is None else found.scores.cpu()
    if found.keypoints is not None:
        joints = found.keypoints[..., 2].cpu().flatten(1)
        best = joints.amax(1) if joints.shape[1] else joints.new_zeros(len(joints))
        scores = best if scores is None else torch.minimum(scores, best)
    if scores is None or not threshold or not len(scores):
        return None
    highest = float(scores.max())
    return None if highest > threshold else highest


def below(score: float) -> float:
    """Return a number of one digit below a score, such as 0.2 for 0.27: a threshold to type."""
    if score <= 0:
        return 0.0
    step = 10.0 ** math.floor(math.log10(score) - 1e-9)
    return round((math.ceil(score / step - 1e-9) - 1) * step, 12)


def confident(found: Annotation, threshold: float) -> tuple[Annotation, list[int] | None]:
    """Keep the instances with a score above `threshold`; also return their numbers, counted from 1.

    Without scores the annotation is returned unchanged, with None.
    """
    if found.scores is None or not threshold:
        return found, None
    keep = found.scores > threshold
    return found.select(keep), (keep.nonzero()[:, 0] + 1).tolist()


def enlarged(picture: Tensor, found: Annotation, largest: int = LEGIBLE) -> tuple[Tensor, Annotation]:
    """Repeat every pixel of a small picture until words on it are legible, and scale its annotation."""
    side = max(picture.shape[-2:])
    factor = max(1, ceil_div(LEGIBLE, side), min(largest // side, _magnification(found)))
    if factor == 1:
        return picture, found

    def repeated(values: Tensor | None) -> Tensor | None:
        return None if values is None else values.repeat_interleave(factor, -2).repeat_interleave(factor, -1)

    def moved(values: Tensor | None, numbers: int) -> Tensor | None:
        """Scale the first `numbers` of the last dimension, which are coordinates; pixel 0 becomes 0 to factor - 1."""
        if values is None:
            return None
        return torch.cat([values[..., :numbers] * factor + (factor - 1) / 2, values[..., numbers:]], -1)

    height, width = found.size
    fields: dict[str, Any] = {name: repeated(getattr(found, name)) for name in ("semantic", "instances")}
    fields |= {"boxes": moved(found.boxes, 4), "keypoints": moved(found.keypoints, 2)}
    large = picture.repeat_interleave(factor, -2).repeat_interleave(factor, -1)
    return large, replace(found, size=(height * factor, width * factor), **fields)


def _magnification(found: Annotation) -> int:
    """Return the factor that makes half of the instances `SIDE` pixels wide, by their areas."""
    if found.instances is None or not found.instances.any():
        return 1
    pixels = torch.bincount(found.instances.cpu().long().reshape(-1))[1:]
    return math.ceil(SIDE / math.sqrt(float(pixels[pixels > 0].double().median())))


def compare(
    image: Tensor,
    prediction: Annotation,
    truth: Annotation,
    info: Info,
    weights: Sequence[Tensor] = (),
    title: str = "",
) -> Tensor:
    """Draw image, ground truth, prediction and error side by side with captions and a legend, then maps of weights.

    Ground truth equal to the image is drawn once. Fields of the ground truth without prediction are left out.
    """
    tiles, legend = [("image", maps.rgb(image))], list[Entry]()
    if by_instance(prediction):
        known = _fields_of(truth, prediction)
        pictures = [draw(image, one, info, largest=LEGIBLE) for one in (known, prediction)]
        tiles += zip(("ground truth", "prediction"), pictures, strict=True)
        if prediction.instances is not None and truth.instances is not None:
            tiles.append(("outlines", contours(image, prediction.instances.cpu(), truth.instances.cpu())))
            legend += [("ground truth alone", OF_TRUTH), ("prediction alone", OF_PREDICTION), ("both", (255, 255, 255))]
    elif prediction.semantic is not None and truth.semantic is not None:
        guess, labels = prediction.semantic.cpu(), truth.semantic.cpu()
        kinds = mistakes.kinds(guess, labels, info)
        tiles += [
            ("ground truth", maps.colours(labels, info.palette)),
            ("prediction", maps.colours(guess, info.palette)),
        ]
        tiles.append(("errors", mistakes.draw(image, kinds)))
        legend += classes([labels, guess], info.classes, info.palette) + mistakes.legend(kinds, guess, labels, info)
    if prediction.image is not None and truth.image is not None:
        clean = maps.rgb(truth.image.cpu())
        if not torch.equal(clean, tiles[0][1]):  # the network input was corrupted
            tiles.append(("clean image", clean))
        error = maps.difference(prediction.image, truth.image)
        tiles += [("reconstruction", maps.rgb(prediction.image.cpu())), (f"error x {maps.GAIN}", error)]
    return panel([*tiles, *(("weights of pixels", one) for one in weights)], legend, title)


def _classes_over(picture: Tensor, labels: Tensor, info: Info) -> Tensor:
    return maps.overlay(picture, labels, info.palette, clear=maps.backgrounds(info))


def class_legend(found: Annotation, info: Info) -> list[Entry]:
    """Return the names and colours of the classes in a picture of `draw`; captions name those of instances."""
    if found.semantic is None or found.instances is not None:
        return []
    clear = {info.classes[i] for i in maps.backgrounds(info) if i < len(info.classes)}
    return [entry for entry in classes([found.semantic], info.classes, info.palette) if entry[0] not in clear]


def contours(image: Tensor, found: Tensor, truth: Tensor) -> Tensor:
    """Draw outlines over a faint image: ground truth orange, prediction blue, both white."""
    grey = (maps.rgb(image).float().mean(0) * 0.5).round().to(torch.uint8)
    a, b = outlines(found.long()), outlines(truth.long())
    picture = grey.expand(3, -1, -1).clone()
    for where, colour in ((b, OF_TRUTH), (a, OF_PREDICTION), (a & b, (255, 255, 255))):
        picture[:, where] = torch.tensor(colour, dtype=torch.uint8)[:, None]
    return picture


def side_by_side(parts: Sequence[Tensor]) -> Tensor:
    """Place pictures side by side with white between them; pixels of smaller ones are repeated."""
    height = max(part.shape[-2] for part in parts)
    same = [part.repeat_interleave(f, 1).repeat_interleave(f, 2) for part in parts for f in [height // part.shape[-2]]]
    gap = torch.full((3, height, maps.GAP), 255, dtype=torch.uint8)
    return torch.cat([piece for part in same for piece in (part, gap)][:-1], dim=2)


def _fields_of(truth: Annotation, prediction: Annotation) -> Annotation:
    """Drop the fields of the ground truth that the prediction does not have."""
    optional = ("semantic", "instances", "keypoints", "boxes")
    absent: dict[str, Any] = {name: None for name in optional if getattr(prediction, name) is None}
    return replace(truth, **absent)
