"""Random brightness, contrast, saturation and hue, as one affine map of colours."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

LUMA = (0.299, 0.587, 0.114)
_YIQ = ((0.299, 0.587, 0.114), (0.59590059, -0.27455667, -0.32134392), (0.21153661, -0.52273617, 0.31119955))


class Colour:
    """Random change of colours: factors from 1 - amount to 1 + amount; hue is a share of a full turn in YIQ.

    Saturation and hue change only images of three channels.
    """

    def __init__(
        self, brightness: float = 0.2, contrast: float = 0.2, saturation: float = 0.2, hue: float = 0.02
    ) -> None:
        self.amounts = (brightness, contrast, saturation, hue)

    def colour(self, mean: Tensor, generator: Generator) -> Tensor:
        """Draw the matrix (C, C + 1) that acts on (values, 1) of an image in [0, 1] with mean colour `mean` (C,)."""
        draws = (torch.rand(4, generator=generator) * 2 - 1).tolist()
        brightness, contrast, saturation, hue = (u * amount for u, amount in zip(draws, self.amounts, strict=True))
        channels = len(mean)
        linear = torch.eye(channels)
        if channels == 3:
            grey = torch.tensor(LUMA).expand(3, 3)
            linear = _turn(hue) @ (linear * (1 + saturation) - grey * saturation)
        linear = linear * (1 + brightness)

        # Scale about the grey level that the image has after these steps
        level = (linear @ mean).mean()
        return torch.cat((linear * (1 + contrast), (-contrast * level).expand(channels, 1)), 1)


def _turn(hue: float) -> Tensor:
    angle = 2 * math.pi * hue
    yiq = torch.tensor(_YIQ)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    return torch.linalg.solve(yiq, turn @ yiq)
