"""HRNet (arXiv 1908.07919): parallel branches of four resolutions that exchange features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densepred.encoder.activation_checkpointing import Checkpointed
from densepred.encoder.residual import BasicBlock, Bottleneck, stage
from densepred.hub import published
from densepred.nn import BatchNorm2d, choose
from densepred.ops.resize import interpolate
from densepred.types import Pyramid, UserError

PUBLISHED: dict[tuple[int, tuple[int, ...], int, int, int, int], str] = {
    (16, (1, 1, 1), 2, 1, 32, 64): "hrnet_w18_small",
    (18, (1, 3, 2), 2, 2, 64, 64): "hrnet_w18_small_v2",
    **{(width, (1, 4, 3), 4, 4, 64, 64): f"hrnet_w{width}" for width in (18, 30, 32, 40, 44, 48, 64)},
}
"""Names at timm of the networks with published weights, by the arguments `width` to `stem_width`."""


class HRNet(Checkpointed):
    """Four levels of strides 4 to 32 and widths W, 2W, 4W, 8W. Its keys are those of the official checkpoints.

    `modules` counts the fusion modules of stages 2, 3 and 4; `blocks` the residual blocks of each of their branches;
    `bottlenecks` those of stage 1, which are 4 * `bottleneck_width` wide.
    `fuse` enlarges the coarse branches inside a fusion: "nearest" in the classifiers and pose networks, "bilinear" in
    the segmentation networks, some of them with `align_corners`. Weights fit all three, outputs differ.
    `single` ends the last module with the finest branch alone, which is then the only level: the network for pose.
    `shallow` puts the stem's map of stride 2 before the others.
    """

    normed = (("conv1", "bn1"), ("conv2", "bn2"))

    def __init__(
        self,
        in_channels: int,
        width: int = 18,
        modules: Sequence[int] = (1, 4, 3),
        blocks: int = 4,
        bottlenecks: int = 4,
        bottleneck_width: int = 64,
        stem_width: int = 64,
        fuse: str = "bilinear",
        align_corners: bool = False,
        single: bool = False,
        shallow: bool = False,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        choose("encoder.fuse", fuse, ("nearest", "bilinear"))
        if align_corners and fuse == "nearest":
            raise UserError(
                "encoder.align_corners: true means nothing to nearest neighbours; set encoder.fuse=bilinear"
            )
        if len(modules) != 3 or min(modules) < 1 or min(blocks, bottlenecks) < 1:
            raise UserError(
                f"encoder.modules={list(modules)}, blocks={blocks}, bottlenecks={bottlenecks}: stages 2, 3 and 4 have "
                "one module or more, of one block or more; give three numbers, all positive"
            )
        widths = [width * 2**i for i in range(4)]
        given = widths[:1] if single else widths
        self.fuse, self.single, self.shallow = fuse, single, shallow
        self.channels = (stem_width, *given) if shallow else tuple(given)
        self.strides = (2, 4, 8, 16, 32)[0 if shallow else 1 :][: len(self.channels)]
        self.pooled = (None,) * len(self.channels)

        self.conv1 = nn.Conv2d(in_channels, stem_width, 3, 2, 1, bias=False)
        self.bn1 = BatchNorm2d(stem_width)
        self.conv2 = nn.Conv2d(stem_width, stem_width, 3, 2, 1, bias=False)
        self.bn2 = BatchNorm2d(stem_width)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = stage(Bottleneck, stem_width, bottleneck_width, bottlenecks)
        before = [bottleneck_width * Bottleneck.expansion]
        for level, count in zip((2, 3, 4), modules, strict=True):
            ends = [1 if single and level == 4 and i == count - 1 else level for i in range(count)]
            self.add_module(f"transition{level - 1}", _transition(before, widths[:level]))
            self.add_module(
                f"stage{level}",
                nn.Sequential(*(Fusion(widths[:level], blocks, end, fuse, align_corners) for end in ends)),
            )
            before = widths[:level]
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.normal_(part.weight, std=0.001)
        if pretrained:
            self._load(PUBLISHED.get((width, tuple(modules), blocks, bottlenecks, bottleneck_width, stem_width)))

    def _load(self, name: str | None) -> None:
        if name is None:
            raise UserError(
                f"encoder.pretrained: an HRNet of these widths has no published weights; set false, or choose one of "
                f"{', '.join(PUBLISHED.values())}"
            )
        channels = self.conv1.in_channels
        self.load_state_dict(published.of_timm(name).take(self.state_dict(), "conv1.weight", channels))
        self.mean, self.std = published.statistics(channels)

    def forward(self, image: Tensor) -> Pyramid:
        stem = self.block(self._stem, image)
        x = self.block(self._halved, stem)
        for bottleneck in self.layer1:
            x = self.block(bottleneck, x)
        maps = [x]
        for level in (2, 3, 4):
            transition, modules = self.get_submodule(f"transition{level - 1}"), self.get_submodule(f"stage{level}")
            assert isinstance(transition, nn.ModuleList)
            assert isinstance(modules, nn.Sequential)
            # A new branch begins from the coarsest one.
            maps = [step(maps[min(i, len(maps) - 1)]) for i, step in enumerate(transition)]
            for fusion in modules:
                maps = self.block(fusion, maps)
        features = [stem, *maps] if self.shallow else maps
        return Pyramid(features, [None] * len(features))

    def _stem(self, image: Tensor) -> Tensor:
        return self.relu(self.bn1(self.conv1(image)))

    def _halved(self, stem: Tensor) -> Tensor:
        return self.relu(self.bn2(self.conv2(stem)))


class Fusion(nn.Module):
    """Residual blocks in each branch; then each of the first `ends` branches sums all of them at its own size."""

    def __init__(self, widths: Sequence[int], blocks: int, ends: int, fuse: str, align_corners: bool) -> None:
        super().__init__()
        self.fuse, self.align_corners = fuse, align_corners
        self.branches = nn.ModuleList(stage(BasicBlock, width, width, blocks) for width in widths)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_exchange(widths, source, target) for source in range(len(widths))) for target in range(ends)
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        fused: list[Tensor] = []
        for target, layers in enumerate(self.fuse_layers):
            assert isinstance(layers, nn.ModuleList)
            size = (maps[target].shape[-2], maps[target].shape[-1])
            total = layers[0](maps[0])
            for source in range(1, len(maps)):
                part = layers[source](maps[source])
                total = total + (self.enlarge(part, size, 2 ** (source - target)) if source > target else part)
            fused.append(self.relu(total))
        return fused

    def enlarge(self, x: Tensor, size: tuple[int, int], factor: int) -> Tensor:
        """Resize bilinearly to the exact size, as the official code does, or repeat pixels and crop."""
        if self.fuse == "bilinear":
            return interpolate.bilinear(x, size, self.align_corners)
        if torch.compiler.is_exporting():  # a crop would fix relations between the sides in the exported file
            return _repeated(_repeated(x, -2, size[0], factor), -1, size[1], factor)
        return F.interpolate(x, scale_factor=factor, mode="nearest")[..., : size[0], : size[1]]


def _repeated(x: Tensor, axis: int, length: int, factor: int) -> Tensor:
    """Return the first `length` rows or columns of x with each repeated `factor` times."""
    return x.index_select(axis, torch.arange(length, device=x.device) // factor)


def _conv(before: int, after: int, kernel: int = 3, stride: int = 1, active: bool = True) -> nn.Sequential:
    conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, BatchNorm2d(after), *([nn.ReLU(inplace=True)] if active else []))


def _transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
    """Return the step to the widths of the next stage, and to one more branch at half the size."""
    kept = [nn.Identity() if old == new else _conv(old, new) for old, new in zip(before, after, strict=False)]
    return nn.ModuleList([*kept, nn.Sequential(_conv(before[-1], after[-1], stride=2))])


def _exchange(widths: Sequence[int], source: int, target: int) -> nn.Module:
    """Return the path between branches: a 1x1 convolution before enlargement, or one strided 3x3 per halving."""
    if source == target:
        return nn.Identity()
    if source > target:
        return _conv(widths[source], widths[target], 1, active=False)
    halvings = [_conv(widths[source], widths[source], stride=2) for _ in range(target - source - 1)]
    return nn.Sequential(*halvings, _conv(widths[source], widths[target], stride=2, active=False))
