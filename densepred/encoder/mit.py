"""Mix transformer, the encoder of SegFormer (arXiv 2105.15203)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densepred.encoder.activation_checkpointing import Checkpointed
from densepred.hub import published, renaming
from densepred.types import Pyramid, UserError

HEADS = (1, 2, 5, 8)
REDUCTIONS = (8, 4, 2, 1)
EPS = 1e-6  # of the norms of blocks and stages; those of patches and of attention keep 1e-5, as published

NARROW, WIDE = (32, 64, 160, 256), (64, 128, 320, 512)
PUBLISHED: dict[tuple[tuple[int, ...], tuple[int, ...]], str] = {
    (NARROW, (2, 2, 2, 2)): "nvidia/mit-b0",
    (WIDE, (2, 2, 2, 2)): "nvidia/mit-b1",
    (WIDE, (3, 4, 6, 3)): "nvidia/mit-b2",
    (WIDE, (3, 4, 18, 3)): "nvidia/mit-b3",
    (WIDE, (3, 8, 27, 3)): "nvidia/mit-b4",
    (WIDE, (3, 6, 40, 3)): "nvidia/mit-b5",
}
"""Repositories at Hugging Face with ImageNet weights, by widths and depths."""


class MixTransformer(Checkpointed):
    """Four stages at strides 4, 8, 16 and 32: overlapping patches, then blocks of attention and convolution.

    `widths` are those of the stages and `depths` their blocks; `drop_path` is the probability of dropping the
    last block in training; it grows linearly from 0 at the first.
    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int] = (32, 64, 160, 256),
        depths: Sequence[int] = (2, 2, 2, 2),
        drop_path: float = 0.1,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        if len(widths) != 4 or len(depths) != 4:
            raise UserError(f"encoder.widths and encoder.depths: {list(widths)}, {list(depths)}; give four of each")
        for width, heads in zip(widths, HEADS, strict=True):
            if width % heads:
                raise UserError(
                    f"encoder.widths: {width} is not a multiple of {heads}, the heads of its stage; make it one"
                )
        self.channels, self.strides, self.pooled = tuple(widths), (4, 8, 16, 32), (None,) * 4
        drop_rates = iter(torch.linspace(0, drop_path, sum(depths), device="cpu").tolist())
        self.stages = nn.ModuleList(
            Stage(before, width, heads, reduction, [next(drop_rates) for _ in range(depth)], first=i == 0)
            for i, (before, width, heads, reduction, depth) in enumerate(
                zip((in_channels, *widths[:-1]), widths, HEADS, REDUCTIONS, depths, strict=True)
            )
        )
        for part in self.modules():
            _initialise(part)
        if pretrained:
            self._load(PUBLISHED.get((tuple(widths), tuple(depths))), in_channels)

    def _load(self, name: str | None, channels: int) -> None:
        if name is None:
            raise UserError(
                "encoder.pretrained: a Mix Transformer of these widths and depths has no published weights; set false, "
                "or choose encoder=mit_b0 to mit_b5"
            )
        found = published.from_hugging_face(name)
        part = "segformer.encoder."
        theirs = {key.removeprefix(part): value for key, value in found.tensors.items() if key.startswith(part)}
        state, _ = renaming.rename(theirs, renaming.MIT_RULES, renaming.MIT_MERGES)
        taken = published.State(state, found.path).take(self.state_dict(), "stages.0.embed.weight", channels)
        self.load_state_dict(taken)
        self.mean, self.std = published.statistics(channels)

    def forward(self, image: Tensor) -> Pyramid:
        features: list[Tensor] = []
        for stage in self.stages:
            features.append(stage(features[-1] if features else image, self.block))
        return Pyramid(features, [None] * len(features))


class Stage(nn.Module):
    def __init__(
        self, in_channels: int, width: int, heads: int, reduction: int, drop_rates: Sequence[float], first: bool
    ) -> None:
        super().__init__()
        self.embed = nn.Conv2d(in_channels, width, 7, 4, 3) if first else nn.Conv2d(in_channels, width, 3, 2, 1)
        self.enter = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, heads, reduction, drop_rate) for drop_rate in drop_rates)
        self.leave = nn.LayerNorm(width, EPS)

    def forward(self, x: Tensor, run: Callable[..., Tensor]) -> Tensor:
        """Return the map of this stage; `run` is how a block is called, Checkpointed.block."""
        x = self.embed(x)
        size = (x.shape[-2], x.shape[-1])
        tokens = self.enter(x.flatten(2).transpose(1, 2))
        for block in self.blocks:
            tokens = run(block, tokens, size)
        return _map(self.leave(tokens), size)


class Block(nn.Module):
    """Attention, then two linear layers with a 3x3 convolution between them, which also encodes positions."""

    def __init__(self, width: int, heads: int, reduction: int, drop_path: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, EPS), nn.LayerNorm(width, EPS)
        self.attention = Attention(width, heads, reduction)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.conv = nn.Conv2d(4 * width, 4 * width, 3, padding=1, groups=4 * width)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        tokens = tokens + self.drop_path(self.attention(self.norm1(tokens), size))
        hidden = self.conv(_map(self.fc1(self.norm2(tokens)), size)).flatten(2).transpose(1, 2)
        return tokens + self.drop_path(self.fc2(F.gelu(hidden)))


class DropPath(nn.Module):
    """Drop whole samples in training, and scale those that stay (arXiv 1603.09382)."""

    def __init__(self, drop_rate: float) -> None:
        super().__init__()
        self.drop_rate = drop_rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.drop_rate:
            return x
        return x * F.dropout(x.new_ones(len(x), *[1] * (x.ndim - 1)), self.drop_rate)


class Attention(nn.Module):
    """Attention of every token to a map that a strided convolution has made `reduction` times smaller."""

    def __init__(self, width: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads, self.reduction = heads, reduction
        self.q, self.kv, self.proj = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        if reduction > 1:
            self.reduce = nn.Conv2d(width, width, reduction, reduction)
            self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        seen = tokens
        if self.reduction > 1:
            x = _map(tokens, size)
            # The published code drops the last rows here; a map smaller than one step would vanish.
            lacking: list[Any] = [torch.sym_max(0, self.reduction - length) for length in (size[1], size[0])]
            # An exported file keeps the padding, by symbolic sizes: a branch would hold for large images alone.
            x = F.pad(x, (0, lacking[0], 0, lacking[1])) if torch.compiler.is_exporting() or any(lacking) else x
            seen = self.norm(self.reduce(x).flatten(2).transpose(1, 2))
        q = self._split(self.q(tokens))
        k, v = (self._split(part) for part in self.kv(seen).chunk(2, -1))
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        """Split (B, N, C) into (B, heads, N, C / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _map(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """Arrange tokens (B, h * w, C) as a map (B, C, h, w)."""
    return tokens.transpose(1, 2).unflatten(2, size)


def _initialise(part: nn.Module) -> None:
    """Initialise as the published code: normal by fan-out for convolutions, truncated normal for linear layers."""
    if isinstance(part, nn.Linear):
        nn.init.trunc_normal_(part.weight, std=0.02)
        nn.init.zeros_(part.bias)
    elif isinstance(part, nn.Conv2d):
        fan_out = part.kernel_size[0] * part.kernel_size[1] * part.out_channels // part.groups
        nn.init.normal_(part.weight, std=math.sqrt(2 / fan_out))
        if part.bias is not None:
            nn.init.zeros_(part.bias)
