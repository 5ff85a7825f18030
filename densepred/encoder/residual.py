"""Residual blocks (arXiv 1512.03385) and the body of a ResNet, with the keys of torchvision's classifiers.

They are written here because importing torchvision takes a second, most of it for its compiler.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from densepred.nn import BatchNorm2d

CLASSES = 1000


class BasicBlock(nn.Module):
    """Two 3x3 convolutions; `downsample` fits the input to their sum."""

    expansion = 1
    normed = (("conv1", "bn1"), ("conv2", "bn2"))

    def __init__(self, in_channels: int, width: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(in_channels, width, 3, stride), BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3), BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        changed = self.bn2(self.conv2(active(self.bn1(self.conv1(x)))))
        changed += x if self.downsample is None else self.downsample(x)
        return active(changed)


class Bottleneck(nn.Module):
    """Convolutions of 1x1, 3x3 and 1x1, the middle one with the stride; the output is four times as wide."""

    expansion = 4
    normed = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"))

    def __init__(self, in_channels: int, width: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(in_channels, width, 1), BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3, stride), BatchNorm2d(width)
        self.conv3, self.bn3 = conv(width, width * self.expansion, 1), BatchNorm2d(width * self.expansion)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        changed = active(self.bn2(self.conv2(active(self.bn1(self.conv1(x))))))
        changed = self.bn3(self.conv3(changed))
        changed += x if self.downsample is None else self.downsample(x)
        return active(changed)


class Body(nn.Module):
    """The stem's convolution and the four stages of a ResNet, of so many blocks each."""

    normed = (("conv1", "bn1"),)

    def __init__(self, block: type[BasicBlock | Bottleneck], counts: Sequence[int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = BatchNorm2d(64)
        widths = (64, 128, 256, 512)
        inputs = (64, *(width * block.expansion for width in widths[:-1]))
        stages = [
            stage(block, before, width, count, 1 if width == 64 else 2)
            for before, width, count in zip(inputs, widths, counts, strict=True)
        ]
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.channels = (64, *(width * block.expansion for width in widths))
        # Drawn as the classifier's last layer is, so that a seed gives torchvision's weights.
        nn.Linear(self.channels[-1], CLASSES)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


def stage(
    block: type[BasicBlock | Bottleneck], in_channels: int, width: int, count: int, stride: int = 1
) -> nn.Sequential:
    """Return blocks in a row; the first has the stride, and a 1x1 convolution beside it if it changes the shape."""
    wide = width * block.expansion
    change = None
    if stride != 1 or in_channels != wide:
        change = nn.Sequential(conv(in_channels, wide, 1, stride), BatchNorm2d(wide))
    first = block(in_channels, width, stride, change)
    return nn.Sequential(first, *(block(wide, width) for _ in range(count - 1)))


def conv(before: int, after: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)


def active(x: Tensor) -> Tensor:
    return F.relu(x, inplace=True)
