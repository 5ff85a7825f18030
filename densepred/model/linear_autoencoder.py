"""One linear map from a patch to its latent and one back, learnt by gradient descent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from densepred.contracts import Model
from densepred.ops.geometry import patches
from densepred.ops.geometry.pad import crop
from densepred.types import HeadSpec, UserError


class LinearAutoencoder(Model):
    """Each patch of `patch` pixels becomes `latent_channels` values. A patch as large as the crop makes one
    latent per image.

    decoded = mean + up (down (x - mean)), without rectifiers. `mean` is learnt and begins at the dataset's, so patches
    end up centered; there is no other bias. With the squared error its best value is that of PCA with as many
    components (Baldi, Hornik, Neural Networks 1989): `up down` becomes the same projection, while the rows of `down`
    are neither orthonormal nor ordered. Images of any size are padded by reflection to whole patches.
    """

    def __init__(
        self,
        heads: Mapping[str, HeadSpec],
        channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        latent_channels: int = 16,
        patch: Sequence[int] = (8, 8),
    ) -> None:
        super().__init__()
        reconstructs("linear_autoencoder", heads, channels)
        self.patch, values = shape(latent_channels, patch, channels)
        self.mean = nn.Parameter(torch.tensor(tuple(mean)).repeat_interleave(values // channels))
        self.down = nn.Parameter(torch.empty(latent_channels, values))
        self.up = nn.Parameter(torch.empty(values, latent_channels))
        # A random orthogonal projection.
        nn.init.orthogonal_(self.down)
        with torch.no_grad():
            self.up.copy_(self.down.T)

    def encode(self, image: Tensor) -> Tensor:
        """Encode images (B, C, H, W) as latents (B, latent_channels, h, w), one per patch."""
        cells = patches.cut(patches.whole(image, self.patch), self.patch)
        return ((cells - self.mean) @ self.down.T).movedim(-1, 1)

    def basis(self) -> dict[str, Tensor]:
        """Return the linear maps of patches, their values by channel, row, column: z = encode (x - mean)."""
        return {
            "mean": self.mean.detach(),
            "encode": self.down.detach(),
            "decode": self.up.detach(),
            "patch": torch.tensor(self.patch),
        }

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        cells = self.encode(image).movedim(1, -1) @ self.up.T + self.mean
        return {"image": [crop(patches.merge(cells, self.patch), *image.shape[-2:])]}


def reconstructs(name: str, heads: Mapping[str, HeadSpec], channels: int) -> None:
    """Refuse any task but the reconstruction of images."""
    if dict(heads) != {"image": HeadSpec(channels)}:
        raise UserError(
            f"model={name} gives an image back, and the task wants {', '.join(heads)}; set task=autoencoder, "
            "or choose another model"
        )


def shape(latent_channels: int, patch: Sequence[int], channels: int) -> tuple[tuple[int, int], int]:
    """Return the sides of a patch and its number of values; raise UserError if the latent has more."""
    if len(patch) != 2 or min(patch) < 1:
        raise UserError(f"model.patch: {list(patch)}; give [height, width] in pixels")
    rows, columns = int(patch[0]), int(patch[1])
    values = channels * rows * columns
    if not 1 <= latent_channels <= values:
        raise UserError(
            f"model.latent_channels: {latent_channels}; a patch of {rows} x {columns} pixels has {values} values, "
            f"so give 1 to {values}, "
            "or a larger model.patch"
        )
    return (rows, columns), values
