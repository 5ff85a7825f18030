"""Parity of an exported file with its model: largest differences and agreement of class maps, image by image."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from densepred.errors import classed
from densepred.exporting.network import LABELS, Network
from densepred.types import HeadSpec

Outputs = dict[str, Tensor]
Runner = Callable[[Tensor], Mapping[str, Tensor]]

ODD = ((1, 3), (2, 5), (1, 7))
"""Batch, and pixels that the sides of the trial images lack to a round number, for images of any size."""
SIDES = (257, 256, 161, 160, 129, 128, 65, 64, 33, 32, 17, 16, 9, 8, 4, 2, 1)
"""Sides that are tried for the least one: strides, and one more, of which a level has two locations."""
AGREE = 0.999
"""Least fraction of pixels with the same class: scores that are equal up to rounding may swap."""


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. `limit` is the largest difference that passes; `agreement` is None without a class map."""

    images: str
    size: str  # batch x height x width
    difference: float
    limit: float
    agreement: float | None

    @property
    def passed(self) -> bool:
        """Return True if differences and agreement are within their limits; NaN and lost shapes never are."""
        return self.difference <= self.limit and (self.agreement is None or self.agreement >= AGREE)

    def facts(self) -> dict[str, Any]:
        return asdict(self)


def compare(
    want: Mapping[str, Tensor],
    have: Mapping[str, Tensor],
    heads: Mapping[str, HeadSpec],
    tolerance: float,
    images: str,
    size: Sequence[int],
) -> Row:
    """Compare the outputs of the model with those of a file, for one batch.

    The difference is the largest of all outputs but labels. Its limit is `tolerance` times the largest absolute value
    of the output, or times one if this is larger. Of several outputs the one nearest to its limit counts.
    """
    worst, limit, agreement = 0.0, tolerance, None
    for name, one in want.items():
        other = have[name]
        classes = name == LABELS or (name in heads and heads[name].kind == "classes" and one.shape[1] > 1)
        if one.shape != other.shape:
            return Row(images, "x".join(map(str, size)), float("inf"), tolerance, None)
        if classes:
            first, second = (one, other) if name == LABELS else (one.argmax(1), other.argmax(1))
            agreement = min((first == second).float().mean().item(), 1.0 if agreement is None else agreement)
        if name != LABELS and one.numel():
            here = (one.double() - other.double()).abs().max().item()
            bound = tolerance * max(1.0, one.abs().max().item())
            if not here / bound <= worst / limit and not math.isnan(worst):  # NaN counts as worst, and stays
                worst, limit = here, bound
    return Row(images, "x".join(map(str, size)), worst, limit, agreement)


def reference(network: Network) -> Runner:
    """Return the outputs of the network by name."""

    @torch.inference_mode()
    def run(image: Tensor) -> Outputs:
        return dict(zip(network.names, network(image), strict=True))

    return run


def trials(
    network: Network, run: Runner, heads: Mapping[str, HeadSpec], tolerance: float, like: Tensor, fixed: bool
) -> list[Row]:
    """Compare on random images in [0, 1]: those of `like` (B, C, H, W), and unless the size is fixed also odd ones."""
    inputs = [like]
    for number, (batch, less) in enumerate(() if fixed else ODD, start=1):
        generator = torch.Generator().manual_seed(number)
        sides = (like.shape[-2] - less, like.shape[-1] + less)
        inputs.append(torch.rand(batch, like.shape[1], *sides, generator=generator))
    if fixed:
        inputs.append(like[:1])
    want = reference(network)
    sizes = [(len(x), x.shape[-2], x.shape[-1]) for x in inputs]
    return [compare(want(x), run(x), heads, tolerance, "random", size) for x, size in zip(inputs, sizes, strict=True)]


def least_side(
    network: Network, run: Runner, heads: Mapping[str, HeadSpec], tolerance: float, like: Tensor
) -> int | None:
    """Return the least side of `SIDES` from which on the file agrees with the model; None if not even the largest.

    Square images and ones of two different sides are tried. Programs of torch.export refuse small images by guards.
    """
    want, least = reference(network), None
    for side in SIDES:
        for size in ((1, side, side), (1, side, side + 30), (1, side + 30, side)):
            x = torch.rand(1, like.shape[1], *size[1:], generator=torch.Generator().manual_seed(side))
            try:
                row = compare(want(x), run(x), heads, tolerance, "random", size)
            except Exception as error:  # of the model, of a guard, of onnxruntime, which has a dozen types
                if classed(error) is not None:  # such as memory that ran out
                    raise
                return least
            if not row.passed:
                return least
        least = side
    return least
