"""Convolutional autoencoder: any encoder, a latent, and a decoder that reads only the latent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from densepred.contracts import Decoder, DecoderFactory, Encoder, EncoderFactory, Model
from densepred.model.linear_autoencoder import reconstructs
from densepred.nn import Normalise, ceil_div, initialise_head, require_odd
from densepred.ops.geometry import patches
from densepred.ops.geometry.pad import crop
from densepred.types import HeadSpec, Pyramid, UserError

REMEDY = "set decoder=code, or decoder.skips=false where the decoder has it"


class Code(Encoder):
    """The encoder as the decoder gets it: one level, the latent itself, without pooling indices."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels, self.strides, self.pooled = (channels,), (stride,), (None,)

    def forward(self, image: Tensor) -> Pyramid:
        return Pyramid([image], [None])


class Autoencoder(Normalise, Model):
    """The latent of an image is (latent_channels, h, w): a 1x1 convolution at the encoder's last stride.

    With `values` the latent of a whole image has exactly that many values: one linear map from (latent_channels, h, w)
    and one back, so all images must have the height and width `size`. The head predicts normalised colours, so an
    untrained model gives the mean colour. Images are padded by reflection to multiples of the stride.
    """

    def __init__(
        self,
        encoder: EncoderFactory,
        decoder: DecoderFactory,
        heads: Mapping[str, HeadSpec],
        channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        latent_channels: int = 16,
        values: int | None = None,
        size: Sequence[int] | None = None,
        align_corners: bool = False,
        kernel: int = 3,
    ) -> None:
        super().__init__()
        reconstructs("autoencoder", heads, channels)
        if latent_channels < 1 or (values is not None and values < 1):
            raise UserError(
                f"model.latent_channels={latent_channels} model.values={values}: "
                "give numbers of 1 or more, or null for values"
            )
        require_odd("model.kernel", kernel)
        if values is not None and size is None:
            raise UserError(
                f"model.values: {values} values per image need images of one size; set 'model.size=[H,W]', which "
                "'data.crop=[H,W]' does too, or leave model.values out and give model.latent_channels"
            )
        self.align_corners = align_corners
        self.encoder = encoder(in_channels=channels)
        self.stride = self.encoder.strides[-1]
        self.size = (int(size[0]), int(size[1])) if values is not None and size is not None else None
        self.squeeze = nn.Conv2d(self.encoder.channels[-1], latent_channels, 1)
        self.flat = None if self.size is None else Flat(latent_channels, self._grid(self.size), values or 0)
        self.level = Code(latent_channels, self.stride)
        self.decoder = blind(decoder, self.level)
        refuse_skips(decoder, self.encoder)
        self.register_statistics(self.encoder.mean or mean, self.encoder.std or std)
        self.head = nn.Conv2d(self.decoder.channels[-1], channels, kernel, padding=kernel // 2)
        initialise_head(self.head, heads["image"])

    def encode(self, image: Tensor) -> Tensor:
        """Encode images (B, C, H, W): (B, latent_channels, h, w), or (B, values); raise UserError for another size."""
        if self.size is not None and tuple(image.shape[-2:]) != self.size:
            raise UserError(
                f"an image of {image.shape[-2]}x{image.shape[-1]}: model.values encodes images of {self.size[0]}x"
                f"{self.size[1]} only; use transform=resize 'data.crop=[{self.size[0]},{self.size[1]}]', or leave "
                "model.values out"
            )
        image = patches.whole(self.normalise(image), (self.stride, self.stride))
        latent = self.squeeze(self.encoder(image).features[-1])
        return latent if self.flat is None else self.flat.down(latent.flatten(1))

    def decode(self, latent: Tensor, size: tuple[int, int]) -> Tensor:
        """Decode latents to images (B, C, h, w) of `size` divided by the decoder's finest stride."""
        if self.flat is not None:
            latent = self.flat.up(latent).unflatten(1, self.flat.shape)
        finest, stride = self.decoder(self.level(latent))[-1], self.decoder.strides[-1]
        return self.denormalise(self.head(crop(finest, ceil_div(size[0], stride), ceil_div(size[1], stride))))

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        size = (image.shape[-2], image.shape[-1])  # not int(...), which torch.export takes for a fixed size
        return {"image": [self.decode(self.encode(image), size)]}

    def _grid(self, size: tuple[int, int]) -> tuple[int, int]:
        return ceil_div(size[0], self.stride), ceil_div(size[1], self.stride)


class Flat(nn.Module):
    """Linear maps from all values of a map of one size to `values` values and back."""

    def __init__(self, channels: int, grid: tuple[int, int], values: int) -> None:
        super().__init__()
        self.shape = (channels, *grid)
        self.down = nn.Linear(channels * grid[0] * grid[1], values)
        self.up = nn.Linear(values, channels * grid[0] * grid[1])


def blind(decoder: DecoderFactory, level: Code) -> Decoder:
    """Return the decoder for an encoder of one level, or raise UserError if it needs others."""
    try:
        return decoder(level)
    except (UserError, IndexError, ValueError) as error:
        if str(error).startswith("decoder."):  # a setting that fits no encoder of this stride
            raise
        raise UserError(
            f"model=autoencoder: its decoder reads only the latent, no pooling indices and no level of the encoder "
            f"({error}); use upsample=bilinear or another that needs no indices, and {REMEDY}"
        ) from error


def refuse_skips(decoder: DecoderFactory, encoder: Encoder) -> None:
    """Refuse a decoder that would read shallow levels of `encoder`.

    It runs on the meta device, without memory: levels that it reads have a gradient.
    """
    with torch.device("meta"), torch.enable_grad():
        levels = Levels(encoder)
        probe = decoder(levels)
        maps = probe(Pyramid(levels.features, levels.indices))
        slopes = torch.autograd.grad([x.sum() for x in maps], levels.features, allow_unused=True)
    if any(slope is not None for slope in slopes[:-1]):
        raise UserError(
            f"model=autoencoder: its decoder reads only the latent, but {type(probe).__name__} joins levels of the "
            f"encoder; {REMEDY}"
        )


class Levels(Encoder):
    """Levels of an encoder for a decoder to read, all max-pooled, for an image of twice the last stride."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.channels, self.strides = encoder.channels, encoder.strides
        self.pooled = (None, *encoder.channels[:-1])
        sides = [2 * encoder.strides[-1] // stride for stride in encoder.strides]
        self.features = [torch.zeros(2, n, s, s, requires_grad=True) for n, s in zip(self.channels, sides, strict=True)]
        before = zip(self.pooled, sides, strict=True)
        self.indices = [None if n is None else torch.zeros(2, n, s, s, dtype=torch.int64) for n, s in before]

    def forward(self, image: Tensor) -> Pyramid:
        return Pyramid(self.features, self.indices)
