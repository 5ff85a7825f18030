"""VGG-16 and 19 (arXiv 1409.1556): torchvision's features, with the indices of their poolings."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from densepred.encoder.activation_checkpointing import Checkpointed
from densepred.hub import published
from densepred.nn import choose, initialise
from densepred.ops.geometry.mirror import continued
from densepred.types import Pyramid, UserError

LAYERS = {
    depth: (64, 64, 0, 128, 128, 0, *[256] * deep, 0, *[512] * deep, 0, *[512] * deep, 0)
    for depth, deep in ((16, 3), (19, 4))
}
"""The width of each convolution, and 0 for a pooling."""
FILES = {
    (16, False): "vgg16-397923af",
    (16, True): "vgg16_bn-6c64b313",
    (19, False): "vgg19-dcbb9e9d",
    (19, True): "vgg19_bn-c79401a0",
}
"""Weights of torchvision, by depth and whether there are batch norms."""


class VGG(Checkpointed):
    """A level before each pooling, and one at the end. `body` has torchvision's keys.

    Of its convolutions the first `convolutions` are kept, and the poolings between them; null keeps all, and the last
    pooling too. OpenPose sees through the first ten of VGG-19.
    `width` multiplies every layer; the published weights need 1. `ceil_mode` makes the poolings round up, as Caffe's
    did: then the levels have ceil(size / stride) cells. Otherwise images that would vanish in the poolings are
    continued by reflection, to one pixel of the deepest level; models crop the maps to the size of the image.
    """

    def __init__(
        self,
        in_channels: int,
        depth: int = 16,
        convolutions: int | None = None,
        batch_norm: bool = True,
        width: float = 1.0,
        ceil_mode: bool = False,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        choose("encoder.depth", depth, LAYERS)
        self.depth, self.convolutions, self.batch_norm, self.ceil_mode = depth, convolutions, batch_norm, ceil_mode
        wide = [max(1, round(layer * width)) if layer else 0 for layer in kept(LAYERS[depth], convolutions)]
        features = layers_of(wide, batch_norm)
        self.body = nn.ModuleDict({"features": features})
        last = max(i for i, layer in enumerate(wide) if layer)
        self.channels = (*(wide[i - 1] for i, layer in enumerate(wide) if not layer), wide[last])
        self.strides = tuple(2**i for i in range(len(self.channels)))
        self.pooled = (None, *self.channels[:-1])
        first = features[0]
        assert isinstance(first, nn.Conv2d)
        if in_channels != 3:
            features[0] = nn.Conv2d(in_channels, first.out_channels, 3, padding=1)
        initialise(self)
        if pretrained:
            if width != 1:
                raise UserError(f"encoder.width: {width} has no published weights; set 1 or encoder.pretrained=false")
            self._load(published.TORCHVISION.format(FILES[depth, batch_norm]), in_channels)

    def _load(self, url: str, in_channels: int) -> None:
        state = published.from_address(url)
        self.body.load_state_dict(state.take(self.body.state_dict(), "features.0.weight", in_channels))
        self.mean, self.std = published.statistics(in_channels)

    def forward(self, image: Tensor) -> Pyramid:
        least, argmax = 1 if self.ceil_mode else self.strides[-1], None
        x = continued(image, max(least, image.shape[-2]), max(least, image.shape[-1]))
        features: list[Tensor] = []
        indices: list[Tensor | None] = []
        layers = self.body["features"]
        assert isinstance(layers, nn.Sequential)
        level: list[nn.Module] = []
        for layer in layers:
            if not isinstance(layer, nn.MaxPool2d):
                level.append(layer)
                continue
            features.append(self.block(through, level, x))
            indices.append(argmax)
            x, argmax = F.max_pool2d(features[-1], 2, ceil_mode=self.ceil_mode, return_indices=True)
            level = []
        return Pyramid([*features, self.block(through, level, x)], [*indices, argmax])


def layers_of(widths: Sequence[int], batch_norm: bool) -> nn.Sequential:
    """Return convolutions of 3x3 with their norms and activations, and a pooling for each 0 of `widths`."""
    layers: list[nn.Module] = []
    before = 3
    for width in widths:
        if not width:
            layers.append(nn.MaxPool2d(2))
            continue
        norm = [nn.BatchNorm2d(width)] if batch_norm else []
        layers += [nn.Conv2d(before, width, 3, padding=1), *norm, nn.ReLU(inplace=True)]
        before = width
    return nn.Sequential(*layers)


def through(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Return what the layers, one after the other, make of x."""
    for layer in layers:
        x = layer(x)
    return x


def kept(layers: tuple[int, ...], convolutions: int | None) -> tuple[int, ...]:
    """The layers up to the last convolution that is kept."""
    places = [i for i, layer in enumerate(layers) if layer]
    if convolutions is None or convolutions == len(places):
        return layers
    if not 1 <= convolutions <= len(places):
        raise UserError(f"encoder.convolutions: {convolutions}; give 1 to {len(places)}, or null for all")
    return layers[: places[convolutions - 1] + 1]
