"""The sliding window: predictions of an image strip by strip, from the top, in memory that its height does not change.

B tiles of a batch, C channels, H x W the image, R rows of a strip. A strip is (1, C, R, W).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from densepred.contracts import Model, Unpadded
from densepred.dataset.image_rows import Rows
from densepred.engine.flip import HeadOutputs, probabilities
from densepred.nn import choose
from densepred.ops.geometry.mirror import mirror_index
from densepred.ops.geometry.tiling import blend_weights, cut, cut_unpadded, positions
from densepred.ops.resize import resample
from densepred.types import HeadSpec, Outputs, unit_scale

ForwardFn = Callable[[Tensor], Outputs]
"""A function in place of the model's `forward`, such as `valid`."""
PredictFn = Callable[[Tensor, ForwardFn | None], HeadOutputs]
"""Predict every head for (B, C, h, w), at the model's stride."""

STRIP = 2**22
"""Elements of a head per strip that is handed on: 16 MB of float32."""
ON_ACCELERATOR = 8
"""Tiles per batch on an accelerator; a CPU gains nothing from more than one."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Settings of the sliding window: see `Predictor.__call__`."""

    tile: int | None
    overlap: float
    blend: str
    batch: int | None = None

    def __post_init__(self) -> None:
        choose("blend", self.blend, ("gaussian", "none"))


@dataclass(frozen=True)
class Network:
    """The model, its heads, and the function that applies it to tiles."""

    model: Model
    heads: dict[str, HeadSpec]
    forward: PredictFn
    device: torch.device

    def tiles(
        self, views: Sequence[Tensor], size: tuple[int, int], windows: Windows, forward: ForwardFn | None = None
    ) -> Iterator[HeadOutputs]:
        """Yield the probabilities, or values, of each tile (1, C, h, w) at this size, a batch through the network."""
        many = windows.batch or (1 if self.device.type == "cpu" else ON_ACCELERATOR)
        for start in range(0, len(views), many):
            batch = torch.cat(list(views[start : start + many]))
            full = {
                name: probabilities(self.heads[name], resample.resize(value, size, self.model.align_corners))
                for name, value in self.forward(batch, forward).items()
            }
            for index in range(len(batch)):
                yield {name: value[index : index + 1] for name, value in full.items()}


def strips(network: Network, image: Rows, windows: Windows, flipped: bool = False) -> Iterator[tuple[int, HeadOutputs]]:
    """Yield the first row of each strip, and its probabilities or values; with `flipped`, those of the mirror image.

    The tensors of a strip are used again for the next one.
    """
    ways = _abutting if windows.blend == "none" else _blended
    for top, strip in ways(network, image, windows, flipped):
        some = next(iter(strip.values()))
        step = max(1, STRIP // (image.size[1] * max(value.shape[1] for value in strip.values())))
        for start in range(0, some.shape[-2], step):  # what follows, such as a logarithm, takes memory for these rows
            yield top + start, {name: value[..., start : start + step, :] for name, value in strip.items()}


def whole(network: Network, image: Rows, windows: Windows, flipped: bool = False) -> HeadOutputs:
    """Return the strips as one, (1, C, H, W) per head."""
    out: HeadOutputs = {}
    for top, strip in strips(network, image, windows, flipped):
        for name, value in strip.items():
            full = out.setdefault(name, value.new_empty(1, value.shape[1], *image.size))
            full[..., top : top + value.shape[-2], :] = value
    return out


def _view(network: Network, image: Rows, start: int, stop: int, flipped: bool) -> Tensor:
    """Return rows of the image as an input (1, C, R, W) in [0, 1]."""
    x = unit_scale(image.read(start, stop)[None].to(network.device))
    return x.flip(-1) if flipped else x


def _blended(network: Network, image: Rows, windows: Windows, flipped: bool) -> Iterator[tuple[int, HeadOutputs]]:
    """Blend windows by a Gaussian: sums are kept for the rows of one row of windows, and end above the next one."""
    size, tile = image.size, windows.tile
    window = (min(tile or size[0], size[0]), min(tile or size[1], size[1]))
    tops, lefts = (positions(length, side, windows.overlap) for length, side in zip(size, window, strict=True))
    weight = blend_weights(window, network.device)
    norm, sums = torch.zeros(window[0], size[1], device=network.device), HeadOutputs()
    for top, following in pairwise([*tops, size[0]]):
        x = _view(network, image, top, top + window[0], flipped)
        views = [x[..., left : left + window[1]] for left in lefts]
        for left, found in zip(lefts, network.tiles(views, window, windows), strict=True):
            here = (..., slice(left, left + window[1]))
            norm[here] += weight
            for name, value in found.items():
                sums.setdefault(name, value.new_zeros(1, value.shape[1], window[0], size[1]))[here] += value * weight
        done = following - top
        yield top, {name: value[..., :done, :].div_(norm[:done]) for name, value in sums.items()}
        for value in (norm, *sums.values()):
            _move_up(value, done)


def _move_up(rows: Tensor, done: int) -> None:
    """Move the rows (..., R, W) below the first `done` to the top, and clear those that follow them."""
    left = rows.shape[-2] - done
    for channel in rows.view(-1, *rows.shape[-2:]):
        channel[:left] = channel[done:].clone()
        channel[left:] = 0


def _abutting(network: Network, image: Rows, windows: Windows, flipped: bool) -> Iterator[tuple[int, HeadOutputs]]:
    """Place the central parts of windows side by side."""
    size, model = image.size, network.model
    if windows.tile is not None and isinstance(model, Unpadded):
        rows, columns = (cut_unpadded(length, windows.tile, model) for length in size)
        forward, lost = model.valid, model.margin
    else:
        rows, columns = (cut(length, windows.tile or length, windows.overlap) for length in size)
        forward, lost = None, 0
    spans, predicted = list(columns.windows(size[1])), (rows.side - 2 * lost, columns.side - 2 * lost)
    for down, kept in rows.windows(size[0]):
        x = _mirrored_rows(network, image, down, flipped)
        views = [x.index_select(-1, mirror_index(*across, size[1], x.device)) for across, _ in spans]
        top, strip = kept[0] - down[0] - lost, HeadOutputs()
        for (across, held), found in zip(spans, network.tiles(views, predicted, windows, forward), strict=True):
            left = held[0] - across[0] - lost
            for name, value in found.items():
                part = value[..., top : top + kept[1] - kept[0], left : left + held[1] - held[0]]
                full = strip.setdefault(name, value.new_empty(1, value.shape[1], kept[1] - kept[0], size[1]))
                full[..., held[0] : held[1]] = part
        yield kept[0], strip


def _mirrored_rows(network: Network, image: Rows, rows: tuple[int, int], flipped: bool) -> Tensor:
    """Return rows of the image as an input, continued by reflection above and below."""
    source = mirror_index(*rows, image.size[0])
    first = int(source.min())
    x = _view(network, image, first, int(source.max()) + 1, flipped)
    return x.index_select(-2, (source - first).to(x.device))
