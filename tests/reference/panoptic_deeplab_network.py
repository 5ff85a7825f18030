"""Panoptic-DeepLab on a ResNet written anew, slow and plain, with the names of tensors of its authors' program.

After configs/panoptic_deeplab_R50_os32_cityscapes.yaml of github.com/bowenc0221/panoptic-deeplab, at any width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet


def enlarge(x: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=True)


def conv(before: int, after: int, kernel: int = 1, dilation: int = 1, groups: int = 1) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    layer = nn.Conv2d(before, after, kernel, 1, padding, dilation, groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU())


def separable(before: int, after: int) -> nn.Sequential:
    """Return a depthwise 5x5 and a 1x1 convolution in a stack of one."""
    depthwise = conv(before, before, 5, groups=before)
    return nn.Sequential(nn.Sequential(depthwise, *conv(before, after)))


class Pooling(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.aspp_pooling = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(before, after, 1, bias=False), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return enlarge(self.aspp_pooling(x), x.shape[-2:])


class Pyramid(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        dilated = [conv(before, after, 3, rate) for rate in (3, 6, 9)]
        self.convs = nn.ModuleList([conv(before, after), *dilated, Pooling(before, after)])
        self.project = conv(5 * after, after)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(torch.cat([one(x) for one in self.convs], 1))


class Branch(nn.Module):
    """The decoder of classes or of values; `levels` are the channels of stride 32, 16, 8 and 4."""

    def __init__(self, levels: Sequence[int], low: Sequence[int], width: int, pyramid: int) -> None:
        super().__init__()
        self.aspp = Pyramid(levels[0], pyramid)
        self.project = nn.ModuleList(conv(level, to) for level, to in zip(levels[1:], low, strict=True))
        arriving = (pyramid, width, width)
        self.fuse = nn.ModuleList(separable(wide + to, width) for wide, to in zip(arriving, low, strict=True))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        x = self.aspp(maps[0])
        for level, project, fuse in zip(maps[1:], self.project, self.fuse, strict=True):
            low = project(level)
            x = fuse(torch.cat([enlarge(x, low.shape[-2:]), low], 1))
        return x


class Heads(nn.Module):
    def __init__(self, before: int, width: int, channels: dict[str, int]) -> None:
        super().__init__()
        last = {name: nn.Conv2d(width, count, 1) for name, count in channels.items()}
        self.classifier = nn.ModuleDict({name: nn.Sequential(separable(before, width), last[name]) for name in last})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {name: head(x) for name, head in self.classifier.items()}


class PanopticDeepLab(nn.Module):
    """ResNet-18 at stride 32; `width` channels of classes, half as many of values."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.backbone: Any = resnet.resnet18()
        del self.backbone.fc
        levels, half = (512, 256, 128, 64), width // 2
        self.decoder: Any = nn.Module()
        self.decoder.semantic_decoder = Branch(levels, (16, 8, 4), width, width)
        self.decoder.semantic_head = Heads(width, width, {"semantic": classes})
        self.decoder.instance_decoder = Branch(levels, (8, 4, 2), half, width)
        self.decoder.instance_head = Heads(half, half, {"center": 1, "offset": 2})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the outputs of normalised images (B, 3, H, W) at their size; offsets y, x in pixels of the image."""
        body, size = self.backbone, x.shape[-2:]
        x, maps = body.maxpool(body.relu(body.bn1(body.conv1(x)))), []
        for stage in (body.layer1, body.layer2, body.layer3, body.layer4):
            x = stage(x)
            maps.insert(0, x)
        part = self.decoder
        found = {
            **part.semantic_head(part.semantic_decoder(maps)),
            **part.instance_head(part.instance_decoder(maps)),
        }
        scale = (size[0] - 1) // (maps[-1].shape[-2] - 1)
        found["offset"] = scale * found["offset"]
        return {name: enlarge(value, size) for name, value in found.items()}
