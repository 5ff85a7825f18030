"""A closed form through the same command as every other model: one pass, files, pictures, evaluation, prediction."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from densepred import predictor
from densepred.jobs import training
from densepred.jobs.evaluation import EvaluationJob, work
from densepred.settings import EvalSettings
from densepred.weights.file import load_model
from tests import running
from tests.conftest import composed

WORDS = (
    "task=autoencoder",
    "model=pca",
    "model.patch=[4,4]",
    "model.latent_channels=10",
    "dataset.size=[24,32]",
    "dataset.counts={train: 10, valid: 3, test: 3}",
    "transform=none",
    "data.batch_size=4",
    "trainer.pictures=1",
)


def fit(folder: Path, *more: str) -> int:
    typed = {word.partition("=")[0] for word in more}
    words = [word for word in WORDS if word.partition("=")[0] not in typed]
    return training.work(running.bare_job(folder, *words, *more))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "pca"
    assert fit(folder) == 0
    return folder


def test_a_run_has_the_files_of_any_run(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert {
        "best.safetensors",
        "last.safetensors",
        "metrics.jsonl",
        "summary.json",
        "tensorboard",
        "train.log",
    } <= names
    train, valid = running.metrics(run)
    assert (train["step"], train["epoch"]) == (3, 1)
    assert 0 < train["train/explained_variance"] < 1
    assert set(valid) >= {"valid/mse", "valid/psnr", "valid/ssim", "valid/loss/total"}
    summary = json.loads((run / "summary.json").read_text())
    assert summary["best"]["mse"] == valid["valid/mse"]
    assert summary["parameters"] == 10 * 48 + 48


def test_the_error_on_the_training_set_follows_from_the_eigenvalues(run: Path, tmp_path: Path) -> None:
    cfg = composed("ckpt=" + str(run), "dataset=shapes", *WORDS[4:6], "dataset.split=train", name="eval")
    from densepred.cli import compose

    settings = compose.settings(cfg)
    assert isinstance(settings, EvalSettings)
    assert work(EvaluationJob(settings, tmp_path)) == 0
    scores = json.loads((tmp_path / "metrics.json").read_text())["metrics"]
    train, _ = running.metrics(run)
    assert scores["mse"] == pytest.approx(train["train/loss/image"], rel=1e-4)
    assert scores["psnr"] == pytest.approx(-10 * np.log10(scores["mse"]), rel=1e-9)


def test_a_resumed_run_starts_over_and_ends_alike(run: Path, tmp_path: Path) -> None:
    assert fit(tmp_path, "trainer.max_steps=1") == 0
    assert running.metrics(tmp_path)[0]["epoch"] == 0
    assert fit(tmp_path, f"trainer.resume={tmp_path}") == 0
    assert "starting over" in (tmp_path / "train.log").read_text()
    assert running.metrics(tmp_path) == running.metrics(run)
    first, second = running.weights(run), running.weights(tmp_path)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_images_alone_are_enough_and_come_back_at_their_sizes(tmp_path: Path) -> None:
    from omegaconf import OmegaConf

    from densepred import predict

    sizes = {"a": (37, 45), "b": (16, 16), "c": (5, 9)}
    for name, size in sizes.items():
        path = tmp_path / "images" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(0).integers(0, 256, size, np.uint8)).save(path)
    words = ("dataset=folder", f"dataset.root={tmp_path}", "dataset.masks=null", "dataset.images=images")
    words += ("dataset.splits={train: 0.6, valid: 0.4}", "model.latent_channels=16", "data.batch_size=1")
    kept = [word for word in WORDS if not word.startswith(("dataset", "model.latent_channels", "data."))]
    assert training.work(running.bare_job(tmp_path / "run", *kept, *words)) == 0
    _, _, header = load_model(tmp_path / "run")
    assert header["info"]["classes"] == []
    cfg = composed(f"ckpt={tmp_path / 'run'}", f"input={tmp_path / 'images'}", f"output={tmp_path}", name="predict")
    assert OmegaConf.select(cfg, "ckpt")
    assert predict.predict(cfg) == 0
    for name, size in sizes.items():
        with Image.open(tmp_path / "reconstructions" / f"{name}.png") as image:
            assert (image.mode, image.size) == ("L", size[::-1])
            with Image.open(tmp_path / "images" / f"{name}.png") as original:
                assert np.abs(np.asarray(image).astype(int) - np.asarray(original)).max() <= 1  # 16 of 16 values kept


def test_windows_flips_and_latents_work(run: Path) -> None:
    model = predictor.load(run)
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    whole, parts = model(image).image, model(image, tile=16, flip=True).image
    assert whole.shape == parts.shape == (3, 24, 32)
    assert model.model.encode(torch.rand(1, 3, 24, 32)).shape == (1, 10, 6, 8)
