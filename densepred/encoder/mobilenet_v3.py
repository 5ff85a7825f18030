"""MobileNetV3 (arXiv 1905.02244): torchvision's bodies, optionally with dilation in the last stage."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn
from torchvision.models import get_model_weights, mobilenetv3

from densepred.encoder.activation_checkpointing import Checkpointed
from densepred.hub import published
from densepred.nn import BatchNorm2d, choose
from densepred.types import Pyramid

BUILDERS = {"large": mobilenetv3.mobilenet_v3_large, "small": mobilenetv3.mobilenet_v3_small}
STARTS = {"large": (0, 2, 4, 7, 13), "small": (0, 1, 2, 4, 9)}
"""Indices in `features` of the blocks with which strides 2, 4, 8, 16 and 32 begin."""
FIRST = "features.0.0.weight"


class MobileNetV3(Checkpointed):
    """Five levels, one per stride. `body` has the keys of torchvision's classifiers.

    A level is the output of the `last` or the `first` block of its stride; the deepest is always that of the last
    convolution. At `output_stride` 16 the last stage has dilation instead of stride.
    """

    def __init__(
        self,
        in_channels: int,
        size: str = "large",
        output_stride: int = 32,
        level_blocks: str = "last",
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        choose("encoder.size", size, BUILDERS)
        choose("encoder.output_stride", output_stride, (16, 32))
        choose("encoder.level_blocks", level_blocks, ("last", "first"))
        # Kept because equal weights give other outputs with other settings.
        self.output_stride, self.level_blocks = output_stride, level_blocks
        norm = partial(BatchNorm2d, eps=0.001, momentum=0.01)  # as published
        features: Any = BUILDERS[size](weights=None, dilated=output_stride == 16, norm_layer=norm).features
        self.body = nn.ModuleDict({"features": features})
        deepest = len(features) - 1
        starts = STARTS[size]
        chosen = starts[:-1] if level_blocks == "first" else tuple(start - 1 for start in starts[1:])
        self.places = (*chosen, deepest)
        self.channels = tuple(features[place].out_channels for place in self.places)
        self.strides = (2, 4, 8, 16, output_stride)
        self.pooled = (None,) * len(self.strides)
        if in_channels != 3:
            features[0][0] = nn.Conv2d(in_channels, features[0].out_channels, 3, 2, 1, bias=False)
            nn.init.kaiming_normal_(features[0][0].weight, mode="fan_out")
        if pretrained:
            self._load(f"mobilenet_v3_{size}", in_channels)

    def _load(self, name: str, in_channels: int) -> None:
        state = published.from_address(get_model_weights(name)["DEFAULT"].url)
        self.body.load_state_dict(state.take(self.body.state_dict(), FIRST, in_channels))
        self.mean, self.std = published.statistics(in_channels)

    def forward(self, image: Tensor) -> Pyramid:
        maps, x = [], image
        for place, block in enumerate(self.body["features"]):  # pyright: ignore[reportArgumentType]
            x = self.block(block, x)
            if place in self.places:
                maps.append(x)
        return Pyramid(maps, [None] * len(maps))
