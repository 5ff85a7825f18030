"""ResNet (arXiv 1512.03385) with the keys of torchvision, optionally with dilation instead of stride."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from densepred.encoder.activation_checkpointing import Checkpointed
from densepred.encoder.residual import BasicBlock, Body, Bottleneck, active
from densepred.hub import published
from densepred.nn import ConvNormAct, choose, initialise
from densepred.types import Pyramid, UserError

BLOCKS: dict[int, tuple[type[BasicBlock | Bottleneck], tuple[int, ...]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
}
"""Kind and numbers of the blocks of each stage, by depth."""
FILES = {18: "resnet18-f37072fd", 34: "resnet34-b627a593", 50: "resnet50-11ad3fa6", 101: "resnet101-cd907fc2"}
"""Weights of torchvision, the newest of each depth."""


class ResNet(Checkpointed):
    """Five levels: the stem at stride 2 and the four stages. `body` has the keys of torchvision's classifiers.

    `multi_grid` (arXiv 1706.05587) has one factor per block of the last stage, which multiplies its dilation. Then the
    first block of a dilated stage has the stage's dilation too, as in DeepLab's own code; else it keeps the dilation
    before. With fewer than five `levels` the deeper stages are left out.

    `stem` has the widths of three 3x3 convolutions in place of the first of 7x7: [32, 32, 64] is ResNet-C of
    arXiv 1812.01187, which mmsegmentation calls v1c.
    """

    def __init__(
        self,
        in_channels: int,
        depth: int = 34,
        output_stride: int = 32,
        multi_grid: Sequence[int] | None = None,
        pretrained: bool = False,
        levels: int = 5,
        stem: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        choose("encoder.depth", depth, BLOCKS)
        choose("encoder.levels", levels, (2, 3, 4, 5))
        choose("encoder.output_stride", output_stride, (8, 16, 32))
        self.body = Body(*BLOCKS[depth])
        self.channels = self.body.channels[:levels]
        self.strides = tuple(min(stride, output_stride) for stride in (2, 4, 8, 16, 32))[:levels]
        self.pooled = (None,) * levels  # the stem's pooling overlaps: it cannot be undone
        if in_channels != 3:
            self.body.conv1 = nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)
            nn.init.kaiming_normal_(self.body.conv1.weight, mode="fan_out", nonlinearity="relu")
        for number in range(levels, 5):
            setattr(self.body, f"layer{number}", nn.Sequential())
        if stem is not None:
            if pretrained:
                raise UserError(
                    "encoder.stem: torchvision has no weights for it; set encoder.pretrained=false, or stem=null"
                )
            self.body.conv1 = deep_stem(in_channels, stem)  # pyright: ignore[reportAttributeAccessIssue]
        if pretrained:
            self._load(published.TORCHVISION.format(FILES[depth]), in_channels)
        # Kept because equal weights give other outputs with other dilations.
        self.output_stride, self.multi_grid = output_stride, None if multi_grid is None else list(multi_grid)
        self._dilate(output_stride, multi_grid)

    def _dilate(self, output_stride: int, multi_grid: Sequence[int] | None) -> None:
        last = self.body.layer4
        if multi_grid is not None and not len(last):
            raise UserError("encoder.multi_grid: encoder.levels leaves out the last stage, which it dilates; set null")
        if multi_grid is not None and (len(multi_grid) < len(last) or min(multi_grid) < 1):
            raise UserError(
                f"encoder.multi_grid: {list(multi_grid)}; give a positive number for each of the {len(last)} blocks of "
                "the last stage, such as [1,2,4], or null"
            )
        rate = 1
        for stage, stride in ((self.body.layer3, 16), (last, 32)):
            dilated = stride > output_stride
            before, rate = rate, rate * 2 if dilated else rate
            rates = [rate] * len(stage)
            if multi_grid is None:
                rates[:1] = [before] * len(rates[:1])
            elif stage is last:
                rates = [rate * times for times in multi_grid[: len(last)]]
            dilate(stage, rates, dilated)

    def _load(self, url: str, in_channels: int) -> None:
        state = published.from_address(url)
        self.body.load_state_dict(state.take(self.body.state_dict(), "conv1.weight", in_channels))
        self.mean, self.std = published.statistics(in_channels)

    def forward(self, image: Tensor) -> Pyramid:
        body = self.body
        features = [self.block(self._stem, image)]
        x = F.max_pool2d(features[0], 3, 2, 1)
        for stage in (body.layer1, body.layer2, body.layer3, body.layer4)[: len(self.channels) - 1]:
            for block in stage:
                x = self.block(block, x)
            features.append(x)
        return Pyramid(features, [None] * len(features))

    def _stem(self, image: Tensor) -> Tensor:
        return active(self.body.bn1(self.body.conv1(image)))


def deep_stem(in_channels: int, widths: Sequence[int]) -> nn.Sequential:
    """Return three 3x3 convolutions, the first of stride 2; norm and activation of the last are those of the ResNet."""
    if len(widths) != 3 or min(widths) < 1 or widths[-1] != 64:
        raise UserError(f"encoder.stem: {list(widths)}; give three widths of which the last is 64, or null")
    first = ConvNormAct(in_channels, widths[0], stride=2)
    stem = nn.Sequential(
        *first, *ConvNormAct(widths[0], widths[1]), nn.Conv2d(widths[1], widths[2], 3, padding=1, bias=False)
    )
    initialise(stem)
    return stem


def dilate(stage: nn.Sequential, rates: Sequence[int], unstride: bool) -> None:
    """Give each block of a stage its dilation, and take the stage's stride away if asked to.

    torchvision's `replace_stride_with_dilation` does so for bottlenecks only; here for all blocks.
    """
    for block, rate in zip(stage, rates, strict=True):
        for conv in (part for part in block.modules() if isinstance(part, nn.Conv2d)):
            if unstride:
                conv.stride = (1, 1)
            if conv.kernel_size == (3, 3):
                conv.dilation = conv.padding = (rate, rate)
