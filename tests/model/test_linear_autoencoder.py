"""The linear autoencoder finds the subspace of PCA."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.model.linear_autoencoder import LinearAutoencoder
from densepred.model.pca import PCA
from densepred.ops.geometry import patches
from densepred.types import HeadSpec

CODE, PATCH, VALUES, COUNT = 4, (4, 2), 24, 128
INFO = {"heads": {"image": HeadSpec(3)}, "channels": 3, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}


def data() -> Tensor:
    """Images of one patch, their mean no constant colour; deviations are 0.3 to 0.2 along CODE axes, else 0.02."""
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(VALUES, VALUES, generator=generator))[0]
    deviations = torch.cat([torch.linspace(0.3, 0.2, CODE), torch.full((VALUES - CODE,), 0.02)])
    mean = 0.5 + 0.1 * torch.randn(VALUES, generator=generator)
    rows = mean + torch.randn(COUNT, VALUES, generator=generator) * deviations @ basis.T
    return patches.merge(rows.view(COUNT, 1, 1, VALUES), PATCH)


def test_descent_reaches_the_error_and_the_subspace_of_pca() -> None:
    images = data().double()
    pca = PCA(latent_channels=CODE, patch=PATCH, **INFO).double()
    pca.accumulate(images)
    best = pca.solve()["loss/image"]

    torch.manual_seed(0)
    model = LinearAutoencoder(latent_channels=CODE, patch=PATCH, **INFO).double()
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=250, history_size=30, line_search_fn="strong_wolfe", tolerance_change=0
    )

    def slope() -> Tensor:
        optimizer.zero_grad()
        loss = (model(images)["image"][-1] - images).square().sum()
        loss.backward()
        return loss

    optimizer.step(slope)  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        error = (model(images)["image"][-1] - images).square().mean().item()
        learnt, exact = model.up @ model.down, pca.components.T @ pca.components
    assert best * (1 - 1e-9) <= error <= best * 1.02
    # Two random subspaces of this size lie about 2.6 apart.
    assert (learnt - exact).norm() < 0.05
    # The same subspace, though other axes of it.
    assert (model.down @ model.down.T - torch.eye(CODE)).abs().max() > 1e-3


def test_an_untrained_model_projects_and_takes_any_size() -> None:
    model = LinearAutoencoder(latent_channels=CODE, patch=PATCH, **INFO)
    image = torch.rand(2, 3, 9, 13)
    once = model(image)["image"][-1]
    assert once.shape == image.shape
    assert model.encode(image).shape == (2, CODE, 3, 7)
    whole = image[..., :8, :12]
    once = model(whole)["image"][-1]
    assert torch.allclose(model(once)["image"][-1], once, atol=1e-5)
