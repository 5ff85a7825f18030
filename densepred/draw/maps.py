"""Annotations as pictures: (3, H, W) uint8, for TensorBoard and for the overlays of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.types import VOID

GAP = 4  # white pixels between the parts of a panel
GAIN = 4  # of the errors of a reconstruction, which are small: a quarter of white shows as white
WRONG, RIGHT, UNKNOWN = (220, 40, 40), (235, 235, 235), (0, 0, 0)


def rgb(image: Tensor) -> Tensor:
    """Any image (C, H, W), uint8 or float in [0, 1], as RGB: grey repeated, of many channels the first three."""
    if image.dtype != torch.uint8:
        image = image.clamp(0, 1).mul(255).round().to(torch.uint8)
    return image[:3] if image.shape[0] >= 3 else image[:1].expand(3, -1, -1)


def colours(labels: Tensor, palette: Sequence[Sequence[int]]) -> Tensor:
    """A class map (H, W) in the colours of its classes; VOID and what the palette lacks is black."""
    table = torch.zeros(VOID + 1, 3, dtype=torch.uint8)
    if palette:
        table[: len(palette)] = torch.tensor(palette, dtype=torch.uint8)
    return table.to(labels.device)[labels.long()].permute(2, 0, 1)


def overlay(image: Tensor, labels: Tensor, palette: Sequence[Sequence[int]], opacity: float = 0.5) -> Tensor:
    """The image with its class map over it; VOID stays clear."""
    below, above = rgb(image).float(), colours(labels, palette).float()
    share = torch.where(labels == VOID, 0.0, opacity)
    return (below * (1 - share) + above * share).round().to(torch.uint8)


def errors(prediction: Tensor, truth: Tensor) -> Tensor:
    """Where a class map is wrong (red), right (grey), and where nobody knows (black)."""
    code = torch.where(truth == VOID, 2, (prediction == truth).long())
    return torch.tensor([WRONG, RIGHT, UNKNOWN], dtype=torch.uint8)[code].permute(2, 0, 1)


def heat(values: Tensor) -> Tensor:
    """A map (H, W) of numbers from 0 (black) over red and yellow to its largest (white)."""
    share = values.float() / values.max().clamp(min=torch.finfo(torch.float32).tiny)
    return rgb(torch.stack([3 * share, 3 * share - 1, 3 * share - 2]))


def weights(targets: Mapping[str, Tensor], size: tuple[int, int]) -> list[Tensor]:
    """A tile of `size` for the weight map of each head, `<head>_weight`, (H, W) or the largest of (C, H, W).

    Weights that are equal everywhere are not shown, nor those that another head has too.
    """
    maps = [value for name, value in sorted(targets.items()) if name.endswith("_weight") and value.ndim in (2, 3)]
    flat = [value.cpu() if value.ndim == 2 else value.cpu().amax(0) for value in maps]
    varied = [value.float() for value in flat if value.numel() and value.amin() < value.amax()]
    told = [value for i, value in enumerate(varied) if not any(torch.equal(value, other) for other in varied[:i])]
    return [heat(F.interpolate(value[None, None], size, mode="nearest")[0, 0]) for value in told]


def difference(prediction: Tensor, truth: Tensor) -> Tensor:
    """The mean absolute error over the channels of two images (C, H, W), in grey and `GAIN` times as bright."""
    guess, image = (x.cpu().float() / (255 if x.dtype == torch.uint8 else 1) for x in (prediction, truth))
    return rgb((guess - image).abs().mean(0, keepdim=True) * GAIN)
