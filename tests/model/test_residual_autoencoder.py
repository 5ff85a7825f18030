"""The residual autoencoder begins as a linear one, contains PCA, and corrects it from neighbouring patches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.errors import UserError
from densepred.model.pca import PCA
from densepred.model.residual_autoencoder import ResidualAutoencoder
from densepred.types import HeadSpec

PATCH = (4, 2)
INFO: dict[str, Any] = {"heads": {"image": HeadSpec(3)}, "channels": 3, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}


def made(**settings: Any) -> ResidualAutoencoder:
    torch.manual_seed(0)
    return ResidualAutoencoder(**{**INFO, "latent_channels": 4, "patch": PATCH, "width": 8, **settings})


def smooth(count: int) -> Tensor:
    """Return images (count, 3, 16, 16) with patches that continue their neighbours."""
    noise = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return F.interpolate(noise, size=(16, 16), mode="bicubic")


def test_an_untrained_model_projects_each_patch_and_takes_any_size() -> None:
    model, image = made(), torch.rand(2, 3, 9, 13)
    assert model.encode(image).shape == (2, 4, 3, 7)
    once = model(image)["image"][-1]
    assert once.shape == image.shape
    whole = torch.rand(1, 3, 8, 8)
    once = model(whole)["image"][-1]
    torch.testing.assert_close(model(once)["image"][-1], once)
    # A patch depends on no other patch.
    other = whole.clone()
    other[..., 4:, :] = 0
    torch.testing.assert_close(model(other)["image"][-1][..., :4, :], once[..., :4, :])


def test_the_maps_of_pca_give_its_reconstruction() -> None:
    images, model = smooth(6).double(), made().double()
    pca = PCA(latent_channels=4, patch=PATCH, **INFO).double()
    pca.accumulate(images)
    pca.solve()
    # x = std n + mean, so z = V (std n + mean - m) and n = (V^T z + m - mean) / std.
    mean, std = (getattr(model, name).expand(3, *PATCH).flatten() for name in ("mean", "std"))
    with torch.no_grad():
        model.down.weight.copy_((pca.components * std).view_as(model.down.weight))
        model.up.weight.copy_((pca.components / std).T.view_as(model.up.weight))
        assert model.down.bias is not None
        assert model.up.bias is not None
        model.down.bias.copy_(pca.components @ (mean - pca.mean))
        model.up.bias.copy_((pca.mean - mean) / std)
    torch.testing.assert_close(model.encode(images), pca.encode(images))
    torch.testing.assert_close(model(images)["image"][-1], pca(images)["image"][-1])


def test_descent_passes_pca_where_patches_continue_their_neighbours() -> None:
    images = smooth(16)
    pca = PCA(latent_channels=1, patch=(4, 4), **INFO)
    pca.accumulate(images)
    best = pca.solve()["loss/image"]
    model = made(latent_channels=1, patch=(4, 4), width=16)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    error = torch.tensor(torch.inf)
    for _ in range(120):
        optimizer.zero_grad()
        error = F.mse_loss(model(images)["image"][-1], images)
        error.backward()
        optimizer.step()
    assert error.item() < 0.5 * best


@pytest.mark.parametrize("settings", [{"width": 0}, {"blocks": -1}, {"kernel": 2}, {"latent_channels": 25}])
def test_settings_out_of_range_are_named(settings: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"model.{next(iter(settings))}"):
        made(**settings)
