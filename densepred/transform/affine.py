"""Random rotation, scale, shear and shift about the center; the size stays, and pixels from outside are void."""

from __future__ import annotations

import math

import torch
from torch import Generator

from densepred.ops.geometry.warp import IDENTITY, Matrix, Warp, compose, invert
from densepred.types import UserError


class Affine:
    """Random affine map with probability `p`.

    rotate, shear: largest angles either way, in degrees.
    low, high: range of the scale, log-uniform.
    shift: largest shift either way, as a share of the image's size.
    """

    def __init__(
        self,
        p: float = 1.0,
        rotate: float = 10.0,
        shear: float = 0.0,
        low: float = 1.0,
        high: float = 1.0,
        shift: float = 0.0,
    ) -> None:
        if not 0 < low <= high or not 0 <= shear < 90:
            raise UserError(f"affine: low {low}, high {high}, shear {shear}; give 0 < low <= high and 0 <= shear < 90")
        self.p, self.rotate, self.shear, self.low, self.high, self.shift = p, rotate, shear, low, high, shift

    def params(self, size: tuple[int, int], generator: Generator) -> Warp:
        chance, turn, slant, zoom, x, y = torch.rand(6, generator=generator, dtype=torch.float64).tolist()
        if chance >= self.p:
            return Warp(IDENTITY, size)
        factor = math.exp(math.log(self.low) + zoom * math.log(self.high / self.low))
        shift = (2 * x - 1) * self.shift * size[1], (2 * y - 1) * self.shift * size[0]
        angle, shear = math.radians((2 * turn - 1) * self.rotate), math.radians((2 * slant - 1) * self.shear)
        return Warp(invert(_forward(size, angle, shear, factor, shift)), size)


def _forward(size: tuple[int, int], angle: float, shear: float, factor: float, shift: tuple[float, float]) -> Matrix:
    """Return the map of points: center, shear, rotate and scale, then move back with the shift."""
    x, y = (size[1] - 1) / 2, (size[0] - 1) / 2
    cos, sin = math.cos(angle) * factor, math.sin(angle) * factor
    slant: Matrix = ((1.0, math.tan(shear), 0.0), (0.0, 1.0, 0.0))
    turn: Matrix = ((cos, -sin, x + shift[0]), (sin, cos, y + shift[1]))
    return compose(compose(turn, slant), ((1.0, 0.0, -x), (0.0, 1.0, -y)))
