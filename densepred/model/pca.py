"""Principal components of image patches: the best linear latent, in closed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from densepred import distributed
from densepred.contracts import Model
from densepred.model.linear_autoencoder import reconstructs, shape
from densepred.ops.geometry import patches
from densepred.ops.geometry.pad import crop
from densepred.ops.precise import exact
from densepred.types import HeadSpec, UserError

MOST = 8192
"""Values of a patch: its covariance then takes 512 MB, and its eigenvectors some minutes."""


class PCA(Model):
    """Each patch of `patch` pixels becomes its coordinates along the `latent_channels` directions of largest variance.

    A closed form: `accumulate` adds up the covariance of whole patches in float64, `solve` takes its eigenvectors. Then
    the mean squared error over those patches is the sum of the discarded eigenvalues over their number. Images of any
    size are padded by reflection to whole patches. Memory grows with the square of patch values, not with the data.

    State: `mean` (values,), `components` (code, values), orthonormal rows of falling variance, the largest entry of
    each positive; `variances` (values,), all eigenvalues.
    """

    variances: Tensor

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
        reconstructs("pca", heads, channels)
        self.patch, values = shape(latent_channels, patch, channels)
        if values > MOST:
            raise UserError(
                f"model.patch: {list(patch)} has {values} values and pca takes at most {MOST}; give a smaller patch "
                "or use model=linear_autoencoder"
            )
        center = torch.tensor(tuple(mean)).repeat_interleave(values // channels)
        self.mean = nn.Parameter(center, requires_grad=False)
        self.components = nn.Parameter(torch.eye(latent_channels, values), requires_grad=False)
        self.register_buffer("variances", torch.zeros(values))
        self.sums: Sums | None = None

    @torch.no_grad()
    def accumulate(self, image: Tensor) -> None:
        """Add the whole patches of images (B, C, H, W); the rest at the right and below is skipped."""
        rows, columns = (length // side * side for length, side in zip(image.shape[-2:], self.patch, strict=True))
        if not rows or not columns:
            raise UserError(
                f"an image of {image.shape[-2]}x{image.shape[-1]} holds no patch of {self.patch[0]}x{self.patch[1]}; "
                "set data.crop to whole patches or give a smaller model.patch"
            )
        if self.sums is None:
            self.sums = Sums(self.mean)
        self.sums.add(patches.cut(image[..., :rows, :columns], self.patch).flatten(0, 2))

    @torch.no_grad()
    def solve(self) -> dict[str, float]:
        """Set the components from the sums of all processes, and drop these.

        Returns the mean squared error over the accumulated patches and the share of their variance that the latent
        keeps.
        """
        assert self.sums is not None, "nothing was accumulated"
        mean, covariance = self.sums.result()
        self.sums = None
        rising, vectors = torch.linalg.eigh(covariance)
        variances = rising.flip(0).clamp(min=0)  # rounding leaves tiny negative ones
        kept = vectors.flip(1).T[: len(self.components)]
        largest = kept.gather(1, kept.abs().argmax(1, keepdim=True))
        self.mean.copy_(mean)
        self.components.copy_(kept * largest.sign())
        self.variances.copy_(variances)
        left, total = variances[len(kept) :].sum().item(), variances.sum().item()
        return {"loss/image": left / len(variances), "explained_variance": 1 - left / total if total else 1.0}

    def encode(self, image: Tensor) -> Tensor:
        """Encode images (B, C, H, W) as latents (B, latent_channels, h, w), one per patch."""
        cells = patches.cut(patches.whole(image, self.patch), self.patch)
        return ((cells - self.mean) @ self.components.T).movedim(-1, 1)

    def basis(self) -> dict[str, Tensor]:
        """Return the linear maps of patches, their values by channel, row, column: z = encode (x - mean)."""
        return {
            "mean": self.mean.detach(),
            "encode": self.components.detach(),
            "decode": self.components.detach().T,
            "variances": self.variances,
            "patch": torch.tensor(self.patch),
        }

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        cells = self.encode(image).movedim(1, -1) @ self.components + self.mean
        return {"image": [crop(patches.merge(cells, self.patch), *image.shape[-2:])]}


class Sums:
    """Count, sum and products of the rows seen so far, in float64, relative to `shift`.

    A shift near the mean keeps the digits of small variances; any shift gives the same covariance.
    """

    def __init__(self, shift: Tensor) -> None:
        self.shift = exact(shift.detach()).clone()
        size = len(shift)
        self.products = self.shift.new_zeros(size, size)
        self.rows = self.shift.new_zeros(size + 1)  # their sum, and how many

    def add(self, rows: Tensor) -> None:
        rows = exact(rows) - self.shift
        self.products.addmm_(rows.T, rows)
        self.rows[:-1] += rows.sum(0)
        self.rows[-1] += len(rows)

    def result(self) -> tuple[Tensor, Tensor]:
        """Return mean and population covariance over all processes."""
        products, rows = distributed.total(self.products), distributed.total(self.rows)
        mean = rows[:-1] / rows[-1]
        covariance = products / rows[-1] - torch.outer(mean, mean)
        return mean + self.shift, (covariance + covariance.T) / 2
