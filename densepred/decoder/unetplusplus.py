"""U-Net++ (arXiv 1807.10165): every node joins all earlier nodes of its level, column by column."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder, UpsampleFactory
from densepred.decoder.attention import SCSE
from densepred.decoder.levels import drop_finest
from densepred.decoder.unet import beyond, climb, natural_widths
from densepred.nn import choose, initialise, make_block
from densepred.types import Pyramid, UserError


class UNetPlusPlus(Decoder):
    """A triangle of nodes. Node (i, j) upsamples (i + 1, j - 1) and joins (i, j - 1) ... (i, 0); (i, 0) is level i.

    Its maps are the last nodes of the coarser rows, then the finest row (0, 1) ... (0, L), all of one stride, for
    deep supervision, then steps to `stride` for an encoder that begins coarse. A map of the finest row
    needs only the levels up to its column: with `wanted` the rest is not computed.

    `widths` has one number per row, the deepest first, and one per further step: the width of the row's last node; the
    others are as wide as the encoder's level, as in segmentation_models.pytorch. Null: last nodes as in `UNet`.
    `attention` is "none" or "scse".
    """

    def __init__(
        self,
        encoder: Encoder,
        upsample: UpsampleFactory,
        widths: Sequence[int] | None = None,
        narrow: bool = True,
        stride: int = 1,
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.0,
        block: str = "plain",
        attention: str = "none",
    ) -> None:
        super().__init__()
        choose("decoder.attention", attention, ("none", "scse"))
        steps = climb(encoder.strides, stride)
        ends = tuple(widths or natural_widths(encoder, steps))
        if len(ends) != len(steps):
            raise UserError(
                f"decoder.widths has {len(ends)} numbers; give this encoder {len(steps)}, one "
                f"for each of the strides {', '.join(str(one) for one in steps)}"
            )
        self.first = sum(one < stride for one in encoder.strides)
        levels = range(self.first, len(encoder.strides))
        self.rows = rows = len(levels) - 1
        own, strides = [encoder.channels[i] for i in levels], [encoder.strides[i] for i in levels]

        def wide(i: int, j: int) -> int:
            return ends[rows - 1 - i] if 0 < j == rows - i else own[i]

        def node(below: int, skips: int, width: int, pooled: int | None, factor: int) -> Node:
            risen = width if narrow else below
            up = upsample(below, risen, pooled, factor=factor)
            joined = risen + skips if skips else 0
            return Node(up, make_block(block, risen + skips, width, norm, activation), joined, width, attention)

        self.nodes = nn.ModuleDict()
        for j in range(1, rows + 1):
            for i in range(rows + 1 - j):
                pooled, factor = encoder.pooled[levels[i + 1]], strides[i + 1] // strides[i]
                self.nodes[f"{i}_{j}"] = node(wide(i + 1, j - 1), j * own[i], wide(i, j), pooled, factor)
        coarse = (wide(0, rows), strides[0])
        self.climb = nn.ModuleList()
        for width, fine in zip(ends[rows:], steps[rows:], strict=True):
            self.climb.append(node(coarse[0], 0, width, None, coarse[1] // fine))
            coarse = (width, fine)
        self.places = [(i, rows - i) for i in range(rows - 1, 0, -1)] + [(0, j) for j in range(1, rows + 1)]
        self.channels = (*(wide(i, j) for i, j in self.places), *ends[rows:])
        self.strides = (*(strides[i] for i, _ in self.places), *steps[rows:])
        self.dropout = nn.Dropout(dropout)

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        wanted = range(len(self.strides)) if self.wanted is None else self.wanted
        known = {(i, 0): feature for i, feature in enumerate(pyramid.features[self.first :])}
        inside = [place for number, place in enumerate(self.places) if number in wanted]
        if climbs := max(wanted) >= len(self.places):
            inside.append((0, self.rows))
        for i, j in inside:
            self._compute(i, j, known, pyramid)
        empty = pyramid.features[-1][:, :, :0, :0]
        maps = [known.get(place, empty) for place in self.places]
        for step in self.climb:
            x = maps[-1] if maps else pyramid.features[-1]
            maps.append(step(x, beyond(pyramid, x, self.strides[len(maps)]), None, []) if climbs else empty)
        return drop_finest(self, maps, self.dropout)

    def _compute(self, i: int, j: int, known: dict[tuple[int, int], Tensor], pyramid: Pyramid) -> Tensor:
        """Compute node (i, j) and the nodes that it needs, each once."""
        if (i, j) not in known:
            skips = [self._compute(i, before, known, pyramid) for before in range(j)][::-1]
            below = self._compute(i + 1, j - 1, known, pyramid)
            size = (skips[0].shape[-2], skips[0].shape[-1])
            known[i, j] = self.nodes[f"{i}_{j}"](below, size, pyramid.indices[self.first + i + 1], skips)
        return known[i, j]


class Node(nn.Module):
    """Upsample, join the skips, convolve twice."""

    def __init__(self, up: nn.Module, block: nn.Module, joined: int, width: int, attention: str) -> None:
        super().__init__()
        self.up, self.block = up, block
        self.enter = SCSE(joined) if joined and attention == "scse" else nn.Identity()
        self.leave = SCSE(width) if attention == "scse" else nn.Identity()
        for part in (self.block, self.enter, self.leave):
            initialise(part)

    def forward(self, x: Tensor, size: tuple[int, int], indices: Tensor | None, skips: list[Tensor]) -> Tensor:
        x = self.up(x, size, indices)
        x = self.enter(torch.cat([x, *skips], 1)) if skips else x
        return self.leave(self.block(x))
