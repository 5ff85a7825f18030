"""VGG-19 (arXiv 1409.1556), or as many of its convolutions as are wanted: OpenPose sees through the first ten."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import get_model_weights, vgg

from densepred.contracts import Encoder
from densepred.nn import adapt_input, adapt_statistics, initialise
from densepred.types import Pyramid, UserError

LAYERS = (64, 64, 0, 128, 128, 0, *[256] * 4, 0, *[512] * 4, 0, *[512] * 4, 0)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGG19(Encoder):
    """A level before each of the poolings, and one at the end. `body` has torchvision's keys.

    `convolutions` of the 16 are kept, and the poolings between them; all 16 keep the last pooling, too.
    `width` multiplies every layer; the published weights need 1.
    """

    def __init__(
        self,
        in_channels: int,
        convolutions: int = 16,
        batch_norm: bool = False,
        width: float = 1.0,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        self.convolutions, self.batch_norm = convolutions, batch_norm
        layers = kept(convolutions)
        wide = [max(1, round(layer * width)) if layer else 0 for layer in layers]
        features = vgg.make_layers([layer or "M" for layer in wide], batch_norm=batch_norm)
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
            self._load("vgg19_bn" if batch_norm else "vgg19", in_channels)

    def _load(self, name: str, in_channels: int) -> None:
        try:
            state = dict(get_model_weights(name)["DEFAULT"].get_state_dict(progress=False, check_hash=True))
        except OSError as error:
            raise UserError(
                f"the weights of {name} cannot be downloaded: {error}; set encoder.pretrained=false or name a file "
                "by weights.encoder"
            ) from error
        state["features.0.weight"] = adapt_input(state["features.0.weight"], in_channels)
        self.body.load_state_dict({key: state[key] for key in self.body.state_dict()})
        self.mean, self.std = adapt_statistics(MEAN, in_channels), adapt_statistics(STD, in_channels)

    def forward(self, image: Tensor) -> Pyramid:
        if min(image.shape[-2:]) < self.strides[-1]:
            raise UserError(
                f"an image of {image.shape[-2]}x{image.shape[-1]} vanishes in the poolings of encoder=vgg19; it needs "
                f"{self.strides[-1]} pixels a side, or fewer encoder.convolutions"
            )
        x, argmax = image, None
        features: list[Tensor] = []
        indices: list[Tensor | None] = []
        layers = self.body["features"]
        assert isinstance(layers, nn.Sequential)
        for layer in layers:
            if not isinstance(layer, nn.MaxPool2d):
                x = layer(x)
                continue
            features.append(x)
            indices.append(argmax)
            x, argmax = F.max_pool2d(x, 2, return_indices=True)
        return Pyramid([*features, x], [*indices, argmax])


def kept(convolutions: int) -> tuple[int, ...]:
    """The layers up to the last convolution that is kept, 0 for a pooling."""
    total = sum(layer > 0 for layer in LAYERS)
    if not 1 <= convolutions <= total:
        raise UserError(f"encoder.convolutions: {convolutions}; give 1 to {total}")
    if convolutions == total:
        return LAYERS
    places = [i for i, layer in enumerate(LAYERS) if layer]
    return LAYERS[: places[convolutions - 1] + 1]
