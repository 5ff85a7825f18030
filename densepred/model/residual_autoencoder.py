"""Autoencoder of patches: a linear map of each patch and back, plus residual blocks at the latent's resolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from densepred.contracts import Model
from densepred.model.linear_autoencoder import reconstructs, shape
from densepred.nn import Normalise, make_activation, require_odd
from densepred.ops.geometry import patches
from densepred.ops.geometry.pad import crop
from densepred.types import HeadSpec, UserError


class ResidualAutoencoder(Normalise, Model):
    """The linear autoencoder, corrected by convolutions that also see the neighbouring patches.

    latent = down x + squeeze(body(embed x)), decoded = up latent + paint(body(expand latent / sqrt(d))), of normalised
    patches x of d values: the latent of a patch of one colour is sqrt(d) times as large as its values.

    The last layers of both corrections and of every block begin at zero, and `up` as the transpose of the orthonormal
    `down`. So training starts as a linear autoencoder, and the best one has the error of PCA. No layer runs at the
    resolution of the image, and none has a norm: statistics of a batch would enter the colours of its images.

    Images of any size are padded by reflection to whole patches. The latent is (latent_channels, h, w), one vector per
    patch.
    """

    def __init__(
        self,
        heads: Mapping[str, HeadSpec],
        channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        latent_channels: int = 16,
        patch: Sequence[int] = (8, 8),
        width: int = 64,
        blocks: int = 1,
        kernel: int = 3,
        activation: str = "gelu",
    ) -> None:
        super().__init__()
        reconstructs("residual_autoencoder", heads, channels)
        self.patch, values = shape(latent_channels, patch, channels)
        if width < 1 or blocks < 0:
            raise UserError(
                f"model.width={width} model.blocks={blocks}: give a width of 1 or more, and 0 or more blocks"
            )
        require_odd("model.kernel", kernel)
        self.register_statistics(mean, std)
        self.scale = values**-0.5
        self.down = nn.Conv2d(channels, latent_channels, self.patch, self.patch)
        self.up = nn.Conv2d(latent_channels, values, 1)
        self.embed = nn.Conv2d(channels, width, self.patch, self.patch)
        self.expand = same(latent_channels, width, kernel)
        self.inward, self.outward = (
            nn.Sequential(*(Block(width, kernel, activation) for _ in range(blocks))) for _ in range(2)
        )
        self.squeeze, self.paint = same(width, latent_channels, kernel), nn.Conv2d(width, values, 1)
        for last in (self.squeeze, self.paint):
            silence(last)
        self._project()

    def encode(self, image: Tensor) -> Tensor:
        """Encode images (B, C, H, W) as latents (B, latent_channels, h, w), one per patch."""
        image = patches.whole(self.normalise(image), self.patch)
        return self.down(image) + self.squeeze(self.inward(self.embed(image)))

    def decode(self, latent: Tensor, size: tuple[int, int]) -> Tensor:
        """Decode latents to images (B, C, H, W) of `size`."""
        values = self.up(latent) + self.paint(self.outward(self.expand(self.scale * latent)))
        return self.denormalise(crop(patches.merge(values.movedim(1, -1), self.patch), *size))

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        return {"image": [self.decode(self.encode(image), (image.shape[-2], image.shape[-1]))]}

    @torch.no_grad()
    def _project(self) -> None:
        """Set `down` and `up` to a random orthogonal projection of the patches."""
        frame = nn.init.orthogonal_(self.down.weight.flatten(1))
        self.down.weight.copy_(frame.view_as(self.down.weight))
        self.up.weight.copy_(frame.T.view_as(self.up.weight))
        for linear in (self.down, self.up):
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)


class Block(nn.Module):
    """Two convolutions with an activation between them, beside the identity, which the block is at first."""

    def __init__(self, width: int, kernel: int, activation: str) -> None:
        super().__init__()
        self.body = nn.Sequential(same(width, width, kernel), make_activation(activation), same(width, width, kernel))
        silence(self.body[-1])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def same(channels: int, width: int, kernel: int) -> nn.Conv2d:
    """Return a convolution that keeps the size."""
    return nn.Conv2d(channels, width, kernel, padding=kernel // 2)


def silence(layer: nn.Module) -> None:
    """Set all parameters of a layer to zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
