"""Predictions of a window that slides over an image, merged at the size of the image. C channels, H x W pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from densepred.contracts import Model, Unpadded
from densepred.engine.flip import Heads
from densepred.nn import choose
from densepred.ops.geometry.mirror import mirrored
from densepred.ops.geometry.tiling import blend_weights, cut, cut_unpadded, positions
from densepred.types import Outputs

Predict = Callable[[Tensor, tuple[int, int], Callable[[Tensor], Outputs] | None], Heads]
"""Probabilities, or values, of each head for a window (1, C, h, w), at the size that the second argument names.

The third is the function that runs the model; None: the model itself."""

Read = Callable[[int, int, int, int], Tensor]
"""Top, left, height and width of a window to its pixels (1, C, h, w) in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Settings of the sliding window: see `Predictor.__call__`."""

    tile: int | None
    overlap: float
    blend: str

    def __post_init__(self) -> None:
        choose("blend", self.blend, ("gaussian", "none"))

    def window(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the size of a window in an image of this size."""
        return min(self.tile or size[0], size[0]), min(self.tile or size[1], size[1])


def blended(x: Tensor, windows: Windows, predict: Predict) -> Heads:
    """Return probabilities, or values, at the full size of `x`, blended from windows if a tile is given."""
    size = (int(x.shape[-2]), int(x.shape[-1]))
    window = windows.window(size)
    weight = blend_weights(window, x.device)
    sums: Heads = {}
    norm = torch.zeros(size, device=x.device)
    starts = [positions(length, side, windows.overlap) for length, side in zip(size, window, strict=True)]
    for top, left in product(*starts):
        here = (..., slice(top, top + window[0]), slice(left, left + window[1]))
        norm[here] += weight
        for name, full in predict(x[here], window, None).items():
            sums.setdefault(name, full.new_zeros(1, full.shape[1], *size))[here] += full * weight
    return {name: value.div_(norm) for name, value in sums.items()}


def blended_rows(read: Read, size: tuple[int, int], windows: Windows, predict: Predict) -> Iterator[tuple[int, Heads]]:
    """Yield what `blended` returns as the first row of some rows and these rows, (1, C, h, W), from top to bottom.

    No more than the rows of one window are in memory, and `read` is asked for one window at a time.
    """
    window = windows.window(size)
    tops, lefts = (positions(length, side, windows.overlap) for length, side in zip(size, window, strict=True))
    sums: Heads = {}
    weight = norm = torch.zeros(0)
    for top, below in zip(tops, [*tops[1:], size[0]], strict=True):
        for left in lefts:
            x, across = read(top, left, *window), (..., slice(left, left + window[1]))
            if not norm.numel():
                weight, norm = blend_weights(window, x.device), torch.zeros(window[0], size[1], device=x.device)
            norm[across] += weight
            for name, full in predict(x, window, None).items():
                sums.setdefault(name, full.new_zeros(1, full.shape[1], window[0], size[1]))[across] += full * weight
        done = below - top
        yield top, {name: value[..., :done, :] / norm[:done] for name, value in sums.items()}
        norm = _shifted(norm, done)
        sums = {name: _shifted(value, done) for name, value in sums.items()}


def _shifted(values: Tensor, rows: int) -> Tensor:
    """Drop the first rows of (..., h, W), and append as many of 0."""
    return torch.cat((values[..., rows:, :], torch.zeros_like(values[..., :rows, :])), -2)


def abutting(x: Tensor, windows: Windows, predict: Predict, model: Model) -> Heads:
    """Return probabilities, or values, at the full size of `x`, from the central parts of windows, side by side."""
    size, tile = (int(x.shape[-2]), int(x.shape[-1])), windows.tile
    if tile is not None and isinstance(model, Unpadded):
        rows, columns = (cut_unpadded(length, tile, model) for length in size)
        run, lost = model.valid, model.margin
    else:
        rows, columns = (cut(length, tile or length, windows.overlap) for length in size)
        run, lost = None, 0
    out: Heads = {}
    for (down, kept), (across, held) in product(rows.windows(size[0]), columns.windows(size[1])):
        predicted = (down[1] - down[0] - 2 * lost, across[1] - across[0] - 2 * lost)
        top, left = kept[0] - down[0] - lost, held[0] - across[0] - lost
        for name, full in predict(mirrored(x, down, across), predicted, run).items():
            part = full[..., top : top + kept[1] - kept[0], left : left + held[1] - held[0]]
            whole = out.setdefault(name, full.new_empty(1, full.shape[1], *size))
            whole[..., kept[0] : kept[1], held[0] : held[1]] = part
    return out
