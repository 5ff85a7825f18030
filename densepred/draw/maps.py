"""Annotations as pictures: (3, H, W) uint8, for TensorBoard and for the overlays of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.types import VOID, Info, unit_scale

GAP = 4  # white pixels between pictures
GAIN = 4  # of reconstruction errors, which are small: 0.25 is drawn as white


def rgb(image: Tensor) -> Tensor:
    """Convert an image (C, H, W), uint8 or float in [0, 1], to RGB: one channel is repeated, of many three are used."""
    if image.dtype != torch.uint8:
        image = image.clamp(0, 1).mul(255).round().to(torch.uint8)
    return image[:3] if image.shape[0] >= 3 else image[:1].expand(3, -1, -1)


def colours(labels: Tensor, palette: Sequence[Sequence[int]]) -> Tensor:
    """Draw a class map (H, W) in the colours of its classes; VOID and classes without a colour are black."""
    table = torch.zeros(VOID + 1, 3, dtype=torch.uint8)
    if palette:
        table[: len(palette)] = torch.tensor(palette, dtype=torch.uint8)
    return table.to(labels.device)[labels.long()].permute(2, 0, 1)


BACKGROUND = ("background", "_background_", "bg")


def backgrounds(info: Info) -> list[int]:
    """Return the classes that stay clear in overlays: those named background, and those in black."""
    black = [i for i, colour in enumerate(info.palette) if tuple(colour) == (0, 0, 0)]
    return sorted({*black, *(i for i, name in enumerate(info.classes) if name.lower() in BACKGROUND)})


def overlay(
    image: Tensor,
    labels: Tensor,
    palette: Sequence[Sequence[int]],
    opacity: float = 0.5,
    clear: Sequence[int] = (),
) -> Tensor:
    """Draw a class map over its image; VOID and the classes in `clear` stay clear."""
    below, above = rgb(image).float(), colours(labels, palette).float()
    hidden = torch.isin(labels.long(), torch.tensor([VOID, *clear]))
    share = torch.where(hidden, 0.0, opacity)
    return (below * (1 - share) + above * share).round().to(torch.uint8)


def heat(values: Tensor) -> Tensor:
    """Draw a map (H, W) of values: 0 is black, then red and yellow, the largest value white."""
    share = values.float() / values.max().clamp(min=torch.finfo(torch.float32).tiny)
    return rgb(torch.stack([3 * share, 3 * share - 1, 3 * share - 2]))


def weights(targets: Mapping[str, Tensor], size: tuple[int, int]) -> list[Tensor]:
    """Draw the weight map of each head, `<head>_weight`: (H, W), or the maximum over channels of (C, H, W).

    Constant weights and weights equal to those of another head are left out. Tiles have the given size.
    """
    maps = [value for name, value in sorted(targets.items()) if name.endswith("_weight") and value.ndim in (2, 3)]
    flat = [value.cpu() if value.ndim == 2 else value.cpu().amax(0) for value in maps]
    varied = [value.float() for value in flat if value.numel() and value.amin() < value.amax()]
    unique = [value for i, value in enumerate(varied) if not any(torch.equal(value, other) for other in varied[:i])]
    return [heat(F.interpolate(value[None, None], size, mode="nearest")[0, 0]) for value in unique]


def difference(prediction: Tensor, truth: Tensor) -> Tensor:
    """Draw the mean absolute error over the channels of two images (C, H, W), in grey, times `GAIN`."""
    guess, image = (unit_scale(x.cpu()) for x in (prediction, truth))
    return rgb((guess - image).abs().mean(0, keepdim=True) * GAIN)
