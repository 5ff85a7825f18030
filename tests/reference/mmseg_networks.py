"""mmsegmentation's SegFormer and DeepLabV3 written anew, slow and plain, with its names of tensors.

After the published configurations segformer_mit-b0 and deeplabv3_r50-d8, and the modules that they name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvModule(nn.Module):
    """A convolution without bias, a norm and a ReLU; names of mmcv."""

    def __init__(self, before: int, after: int, kernel: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, padding=dilation * (kernel // 2), dilation=dilation, bias=False)
        self.bn = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        if ratio > 1:
            self.sr, self.norm = nn.Conv2d(width, width, ratio, ratio), nn.LayerNorm(width, 1e-6)

    def forward(self, x: Tensor, rows: int) -> Tensor:
        seen = x
        if hasattr(self, "sr"):
            seen = self.norm(self.sr(x.transpose(1, 2).unflatten(2, (rows, -1))).flatten(2).transpose(1, 2))
        return self.attn(x, seen, seen, need_weights=False)[0]


class Layer(nn.Module):
    def __init__(self, width: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.attn = SelfAttention(width, heads, ratio)
        self.ffn = nn.Module()
        wide = 4 * width
        depthwise = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)
        layers = [nn.Conv2d(width, wide, 1), depthwise, nn.GELU(), nn.Dropout(0), nn.Conv2d(wide, width, 1)]
        self.ffn.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, rows: int) -> Tensor:
        x = x + self.attn(self.norm1(x), rows)
        y = self.ffn.layers(self.norm2(x).transpose(1, 2).unflatten(2, (rows, -1)))  # pyright: ignore[reportCallIssue]
        return x + y.flatten(2).transpose(1, 2)


class Patches(nn.Module):
    def __init__(self, before: int, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(before, width, kernel, stride, kernel // 2)
        self.norm = nn.LayerNorm(width, 1e-6)


class Segformer(nn.Module):
    """Widths 32, 64, 160 and 256; `depths` blocks."""

    def __init__(self, depths: Sequence[int], channels: int, classes: int) -> None:
        super().__init__()
        widths, heads, ratios = (32, 64, 160, 256), (1, 2, 5, 8), (8, 4, 2, 1)
        self.backbone = nn.Module()
        stages = []
        for i, width in enumerate(widths):
            patches = Patches(widths[i - 1] if i else 3, width, 3 if i else 7, 2 if i else 4)
            blocks = nn.ModuleList(Layer(width, heads[i], ratios[i]) for _ in range(depths[i]))
            stages.append(nn.ModuleList([patches, blocks, nn.LayerNorm(width, 1e-6)]))
        self.backbone.layers = nn.ModuleList(stages)
        self.decode_head = nn.Module()
        self.decode_head.convs = nn.ModuleList(ConvModule(width, channels, 1) for width in widths)
        self.decode_head.fusion_conv = ConvModule(4 * channels, channels, 1)
        self.decode_head.conv_seg = nn.Conv2d(channels, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, C, H / 4, W / 4) of normalised images."""
        maps, head = [], self.decode_head
        stages: Any = self.backbone.layers
        for patches, blocks, norm in stages:
            x = patches.projection(x)
            rows, tokens = x.shape[-2], patches.norm(x.flatten(2).transpose(1, 2))
            for block in blocks:
                tokens = block(tokens, rows)
            x = norm(tokens).transpose(1, 2).unflatten(2, (rows, -1))
            maps.append(x)
        convs: Any = head.convs
        joined = torch.cat([resize(conv(one), maps[0]) for conv, one in zip(convs, maps, strict=True)], 1)
        return head.conv_seg(head.fusion_conv(joined))  # pyright: ignore[reportCallIssue]


class DeepLabV3(nn.Module):
    """On timm's ResNet-50-C, with the stem that mmsegmentation calls v1c; rates 12, 24 and 36."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.backbone = timm.create_model("resnet50c", features_only=True, output_stride=8)
        self.decode_head, self.auxiliary_head = nn.Module(), nn.Module()
        self.decode_head.image_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvModule(2048, channels, 1))
        self.decode_head.aspp_modules = nn.ModuleList(
            ConvModule(2048, channels, 3 if rate > 1 else 1, rate) for rate in (1, 12, 24, 36)
        )
        self.decode_head.bottleneck = ConvModule(5 * channels, channels, 3)
        self.decode_head.conv_seg = nn.Conv2d(channels, classes, 1)
        self.auxiliary_head.convs = nn.Sequential(ConvModule(1024, 256, 3))
        self.auxiliary_head.conv_seg = nn.Conv2d(256, classes, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the auxiliary and the final logits (B, C, H / 8, W / 8) of normalised images."""
        *_, third, last = self.backbone(x)
        head: Any = self.decode_head
        maps = [resize(head.image_pool(last), last), *(module(last) for module in head.aspp_modules)]
        auxiliary: Any = self.auxiliary_head
        return [auxiliary.conv_seg(auxiliary.convs(third)), head.conv_seg(head.bottleneck(torch.cat(maps, 1)))]

    def published(self) -> dict[str, Tensor]:
        """Return the tensors by mmsegmentation's names: the stem is one sequence there, its last norm included."""
        renamed = {"backbone.conv1.": "backbone.stem.", "backbone.bn1.": "backbone.stem.7."}
        found = {}
        for name, value in self.state_dict().items():
            start = next((start for start in renamed if name.startswith(start)), "")
            found[renamed.get(start, "") + name.removeprefix(start)] = value
        return found
