"""Drawn scenes and what was found in them, for the tests of detectors."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import box_iou

from densepred.contracts import Codec
from densepred.dataset.shapes import Shapes
from densepred.types import Annotation, Frame, Info

NAMES = tuple("abcdefg")
INFO = Info(classes=NAMES, provides=("boxes", "categories"))


def annotation(size: tuple[int, int], *boxes: tuple[float, float, float, float], crowd: int = 0) -> Annotation:
    """Boxes of classes 0, 1, 2 and so on; the last `crowd` of them are groups."""
    count = len(boxes)
    return Annotation(
        size,
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        categories=torch.arange(count) % len(NAMES),
        crowd=torch.arange(count) >= count - crowd,
    )


def scattered(size: tuple[int, int], count: int, seed: int, largest: float = 7.0) -> Annotation:
    """Boxes of sides from 1 to 2^largest pixels, within the picture."""
    generator = torch.Generator().manual_seed(seed)
    high = torch.tensor([size[1], size[0]]) - 0.5
    sides = 2 ** (largest * torch.rand(count, 2, generator=generator))
    low = torch.rand(count, 2, generator=generator) * (high + 0.5) - 0.5
    boxes = torch.cat([low, torch.minimum(low + sides, high)], 1)
    return Annotation(size, boxes=boxes, categories=torch.randint(len(NAMES), (count,), generator=generator))


def drawn(size: tuple[int, int], index: int) -> tuple[Annotation, Info]:
    shapes = Shapes("train", size, {"train": 100, "valid": 1, "test": 1})
    return shapes[index].truth, shapes.info


def batch(codec: Codec, *truths: Annotation) -> dict[str, Tensor]:
    each = [codec.encode(truth) for truth in truths]
    return {name: torch.stack([one[name] for one in each]) for name in each[0]}


def there_and_back(codec: Codec, truth: Annotation) -> Annotation:
    outputs = codec.perfect_outputs(batch(codec, truth))
    (found,) = codec.decode(outputs, [Frame("a", truth.size)], align_corners=False)
    return found


def found_again(truth: Annotation, found: Annotation, least: float = 0.99) -> Tensor:
    """Return true for labelled boxes with a prediction of their class in their place, (N,) bool."""
    assert truth.boxes is not None
    assert truth.categories is not None
    assert found.boxes is not None
    assert found.categories is not None
    alike = box_iou(truth.boxes, found.boxes) > least
    return (alike & (truth.categories[:, None] == found.categories)).any(1)
