"""Latents on files: others can compute them, and images from them, with numpy alone."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from densepred import predict
from densepred.dataset.shapes import Shapes
from densepred.errors import UserError
from densepred.jobs import training
from densepred.predictor import load
from tests import running
from tests.conftest import composed

TINY = (
    "task=autoencoder",
    "dataset.size=[16,24]",
    "dataset.counts={train: 10, valid: 3, test: 3}",
    "data.batch_size=5",
    "trainer.pictures=0",
    "trainer.max_steps=2",
)


def trained(folder: Path, *words: str) -> Path:
    assert training.work(running.bare_job(folder, *TINY, *words)) == 0
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for name in ("a.png", "sub/b.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (16, 24, 3), np.uint8)).save(folder / name)
    return folder


def predicted(run: Path, pictures: Path, output: Path, *words: str) -> list[dict[str, str]]:
    words = (f"ckpt={run}", f"input={pictures}", f"output={output}", "latents=true", *words)
    assert predict.predict(composed(*words, name="predict")) == 0
    with (output / "latents.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("model", ["pca", "linear_autoencoder"])
def test_numpy_encodes_and_decodes_with_the_basis(model: str, pictures: Path, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", f"model={model}", "model.patch=[8,4]", "model.latent_channels=5")
    rows = predicted(run, pictures, tmp_path / "out")
    assert [row["file"] for row in rows] == ["latents/a.npy", "latents/sub/b.npy"]
    assert [rows[0][key] for key in ("height", "width", "channels", "rows", "columns")] == ["16", "24", "5", "2", "6"]
    basis = np.load(tmp_path / "out" / "latent_basis.npz")
    z = np.load(tmp_path / "out" / rows[1]["file"])
    image = np.asarray(Image.open(pictures / "sub/b.png")) / 255
    decoded = np.zeros_like(image)
    for i in range(2):
        for j in range(6):
            here = (slice(8 * i, 8 * i + 8), slice(4 * j, 4 * j + 4))
            values = image[here].transpose(2, 0, 1).reshape(-1)  # by channel, row, column
            np.testing.assert_allclose(basis["encode"] @ (values - basis["mean"]), z[:, i, j], atol=1e-5)
            patch = basis["decode"] @ z[:, i, j] + basis["mean"]
            decoded[here] = patch.reshape(3, 8, 4).transpose(1, 2, 0)
    written = np.asarray(Image.open(tmp_path / "out" / "reconstructions" / "sub/b.png"))
    assert np.abs(np.clip(decoded, 0, 1) * 255 - written).max() <= 0.51
    assert ("variances" in basis) == (model == "pca")


def test_the_variance_of_written_latents_is_that_of_the_basis(tmp_path: Path) -> None:
    """Without padding or crops, PCA's latents of its training images have the variances of its eigenvalues."""
    run = trained(tmp_path / "run", "model=pca", "transform=none")
    data = Shapes("train", size=(16, 24), counts={"train": 10})
    (tmp_path / "images").mkdir()
    for i in range(10):
        Image.fromarray(data[i].image.movedim(0, -1).numpy()).save(tmp_path / "images" / f"{i}.png")
    predicted(run, tmp_path / "images", tmp_path / "out")
    z = np.concatenate([np.load(f).reshape(16, -1) for f in sorted((tmp_path / "out" / "latents").glob("*.npy"))], 1)
    found = np.load(tmp_path / "out" / "latent_basis.npz")["variances"][:16]
    np.testing.assert_allclose(np.cov(z, bias=True), np.diag(found), atol=1e-4)


def test_convolutional_latents_are_those_of_the_model(pictures: Path, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", "model=autoencoder", "model.latent_channels=3", "encoder.widths=[4,8]")
    rows = predicted(run, pictures, tmp_path / "out")
    z = np.load(tmp_path / "out" / rows[0]["file"])
    predictor = load(run)
    image = torch.from_numpy(np.asarray(Image.open(pictures / "a.png")).copy()).movedim(-1, 0)[None] / 255
    with torch.no_grad():
        wanted = predictor.require_latents()(image.to(predictor.device))[0].cpu()
    np.testing.assert_allclose(z, wanted.numpy(), atol=1e-5)
    assert z.dtype == np.float32
    assert "z1" not in rows[0]
    assert not (tmp_path / "out" / "latent_basis.npz").exists()


def test_one_vector_per_image_stands_in_the_table(pictures: Path, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", "model=pca", "model.patch=[16,24]", "model.latent_channels=4")
    for row in predicted(run, pictures, tmp_path / "out"):
        values = np.load(tmp_path / "out" / row["file"])
        assert values.shape == (4, 1, 1)
        np.testing.assert_allclose([float(row[f"z{i + 1}"]) for i in range(4)], values.reshape(-1), rtol=1e-7)


def test_other_views_and_models_without_a_latent_are_refused(pictures: Path, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", "model=pca")
    with pytest.raises(UserError, match="latents=true: latents are those of the whole image as it is; leave flip out"):
        predicted(run, pictures, tmp_path / "out", "flip=true")
    assert running.train(tmp_path / "semantic", "trainer.max_steps=1") == 0
    with pytest.raises(UserError, match="latents: the model of this checkpoint has no latent; use a run of task="):
        predicted(tmp_path / "semantic", pictures, tmp_path / "out")
