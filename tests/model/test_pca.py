"""PCA against the singular value decomposition of all patches at once, and against its own theory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from densepred import distributed
from densepred.contracts import ClosedForm
from densepred.errors import UserError
from densepred.model.linear_autoencoder import LinearAutoencoder
from densepred.model.pca import PCA
from densepred.ops.geometry import patches
from densepred.types import HeadSpec

INFO: dict[str, Any] = {"heads": {"image": HeadSpec(3)}, "channels": 3, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}


def images(count: int, size: tuple[int, int], seed: int = 0) -> Tensor:
    """Smooth random pictures in float64, so that variances differ."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 5, 6, generator=generator, dtype=torch.float64)
    smooth = torch.nn.functional.interpolate(coarse, size, mode="bilinear")
    return (smooth + 0.05 * torch.rand(smooth.shape, generator=generator, dtype=torch.float64)).clamp(0, 1)


def fitted(latent_channels: int, patch: tuple[int, int], batches: list[Tensor]) -> tuple[PCA, dict[str, float]]:
    model = PCA(latent_channels=latent_channels, patch=patch, **INFO).double()
    assert isinstance(model, ClosedForm)
    for batch in batches:
        model.accumulate(batch)
    return model, model.solve()


def check_theory(patch: tuple[int, int], latent_channels: int, data: Tensor) -> None:
    model, numbers = fitted(latent_channels, patch, list(data.split(3)))
    error = (model(data)["image"][-1] - data).square().mean().item()
    values = len(model.mean)
    discarded = model.variances[latent_channels:].sum().item() / values
    assert error == pytest.approx(discarded, rel=1e-8)
    assert numbers["loss/image"] == pytest.approx(discarded, rel=1e-12)
    rows = patches.cut(data, patch).flatten(0, 2)
    singular = torch.linalg.svdvals(rows - rows.mean(0)).square() / len(rows)
    assert error == pytest.approx(singular[latent_channels:].sum().item() / values, rel=1e-8)


@pytest.mark.parametrize(
    ("patch", "latent_channels"), [((1, 1), 2), ((8, 8), 1), ((8, 8), 24), ((4, 6), 71), ((16, 16), 40)]
)
def test_the_error_is_the_sum_of_the_discarded_eigenvalues(patch: tuple[int, int], latent_channels: int) -> None:
    check_theory(patch, latent_channels, images(7, (48, 48)))


@pytest.mark.slow
def test_the_error_is_the_sum_of_the_discarded_eigenvalues_of_3072_values() -> None:
    check_theory((32, 32), 64, images(100, (64, 96)))


def test_components_are_the_singular_vectors_of_the_centered_patches() -> None:
    data = images(5, (40, 48))
    model, _ = fitted(6, (8, 8), [data])
    rows = patches.cut(data, (8, 8)).flatten(0, 2)
    _, singular, directions = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)
    variances = singular.square() / len(rows)
    assert torch.allclose(model.mean, rows.mean(0), atol=1e-12)
    assert torch.allclose(model.variances[: len(variances)], variances, atol=1e-12)
    assert torch.allclose(model.variances[len(variances) :], torch.zeros(()).double(), atol=1e-12)
    assert torch.allclose(model.components @ model.components.T, torch.eye(6).double(), atol=1e-12)
    assert torch.allclose((model.components * directions[:6]).sum(1).abs(), torch.ones(6).double(), atol=1e-8)
    assert (model.components.gather(1, model.components.abs().argmax(1, keepdim=True)) > 0).all()


def test_all_components_give_any_image_back_whatever_its_size() -> None:
    model, numbers = fitted(48, (4, 4), [images(8, (40, 40))])
    assert numbers["explained_variance"] == pytest.approx(1)
    for size in ((1, 1), (3, 9), (37, 45)):
        image = images(2, size, seed=1)
        assert torch.allclose(model(image)["image"][-1], image, atol=1e-10)
        assert model.encode(image).shape == (2, 48, -(-size[0] // 4), -(-size[1] // 4))


def test_codes_have_no_correlation_and_falling_variances() -> None:
    data = images(6, (40, 48))
    model, _ = fitted(5, (8, 8), [data])
    codes = model.encode(data).movedim(1, -1).flatten(0, 2)
    spread = torch.cov(codes.T, correction=0)
    assert torch.allclose(spread, torch.diag(model.variances[:5]), atol=1e-12)
    assert torch.allclose(codes.mean(0), torch.zeros(5).double(), atol=1e-12)


def test_batches_and_processes_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    data = images(6, (40, 48))
    one, _ = fitted(5, (8, 8), [data])
    parts = [PCA(latent_channels=5, patch=(8, 8), **INFO).double() for _ in range(2)]
    for part, rows in zip(parts, data.split(4), strict=True):
        part.accumulate(rows)
    theirs = iter([parts[1].sums.products, parts[1].sums.rows])
    monkeypatch.setattr(distributed, "total", lambda values: values + next(theirs))
    parts[0].solve()
    for name, value in one.state_dict().items():
        assert torch.allclose(parts[0].state_dict()[name], value, atol=1e-10), name


def test_single_precision_is_accumulated_in_double() -> None:
    data = images(6, (40, 48)).float()
    model = PCA(latent_channels=5, patch=(8, 8), **INFO)
    for batch in data.split(1):
        model.accumulate(batch)
    model.solve()
    exact, _ = fitted(5, (8, 8), [data.double()])
    assert torch.allclose(model.variances, exact.variances.float(), rtol=1e-6, atol=1e-12)
    assert torch.allclose(model.components.abs(), exact.components.abs().float(), atol=1e-6)


def test_constant_images_are_kept_whole() -> None:
    model, numbers = fitted(3, (4, 4), [torch.full((1, 3, 8, 8), 0.25, dtype=torch.float64)])
    assert numbers["loss/image"] == pytest.approx(0, abs=1e-30)
    assert torch.allclose(model(torch.full((1, 3, 5, 5), 0.25).double())["image"][-1], torch.tensor(0.25).double())


@pytest.mark.parametrize("kind", [PCA, LinearAutoencoder])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"latent_channels": 193},
            r"model\.latent_channels: 193; a patch of 8 x 8 pixels has 192 values, so give 1 to 192",
        ),
        ({"latent_channels": 0}, r"model\.latent_channels: 0"),
        ({"patch": [8]}, r"model\.patch: \[8\]; give \[height, width\]"),
        ({"heads": {"semantic": HeadSpec(5, kind="classes")}}, "wants semantic; set task=autoencoder"),
    ],
)
def test_what_does_not_fit_is_refused(kind: type, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        kind(**{**INFO, **wrong})


def test_too_large_a_patch_and_too_small_an_image_are_refused() -> None:
    with pytest.raises(UserError, match=r"model\.patch: \[64, 64\] has 12288 values and pca takes at most 8192"):
        PCA(patch=(64, 64), **INFO)
    with pytest.raises(UserError, match=r"an image of 7x20 holds no patch of 8x8; set data\.crop"):
        PCA(**INFO).accumulate(torch.rand(1, 3, 7, 20))
