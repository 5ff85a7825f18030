"""Levels of an encoder are silenced one by one; the rest of the network is as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from densepred.cli import compose
from densepred.engine.ablation import Ablation, changed, gradient_shares, silenced, source
from densepred.engine.amp import Precision
from densepred.jobs import evaluation, parts, training
from densepred.model.pca import PCA
from densepred.model.unet_first import UNetFirst
from densepred.transform.pipeline import Pipeline
from densepred.types import HeadSpec, UserError
from densepred.upsample.transposed import Transposed
from densepred.weights.file import load_model
from tests import running
from tests.conftest import composed


def small() -> UNetFirst:
    return UNetFirst({"semantic": HeadSpec(2)}, 1, (0.0,), (1.0,), Transposed, width=1, depth=1)


COUNTS = "dataset.counts={train: 6, valid: 3, test: 3}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    words = ("trainer.max_steps=3", "encoder=plain", "encoder.widths=[2,3]", "dataset.size=[12,16]", COUNTS)
    assert training.work(running.job(folder, *words)) == 0
    return folder


def evaluated(run: Path, folder: Path, *words: str) -> dict:
    words = (f"ckpt={run}", "dataset=shapes", "dataset.size=[12,16]", COUNTS, "data.workers=0", *words)
    assert evaluation.work(evaluation.EvaluationJob(compose.settings(composed(*words, name="eval")), folder)) == 0
    return json.loads((folder / "metrics.json").read_text())


@pytest.mark.parametrize("kind", ["levels", "means"])
def test_an_evaluation_gives_the_scores_without_each_level(run: Path, tmp_path: Path, kind: str) -> None:
    found = evaluated(run, tmp_path, f"ablate={kind}")
    assert found["ablation"]["monitor"] == "miou"
    first, last = found["ablation"]["levels"]
    assert (first["stride"], last["stride"]) == (1, 2)
    assert first["gradient_share"] + last["gradient_share"] == pytest.approx(1)
    model, task, _ = load_model(run / "best.safetensors")
    data = parts.dataset(compose.settings(composed("dataset.size=[12,16]", COUNTS)).dataset, "valid")
    for level, entry in enumerate((first, last)):
        losses = []
        for sample in (data[i] for i in range(len(data))):
            image = sample.image[None].float() / 255
            with torch.no_grad():
                pyramid = model.pyramid(image)
                x = pyramid.features[level]
                pyramid.features[level] = x * 0 if kind == "levels" else x * 0 + x.mean((2, 3), keepdim=True)
                targets = {name: value[None] for name, value in task.codec.encode(sample.truth).items()}
                losses.append(task.loss(model.answers(pyramid), targets)["total"].item())
        assert entry["metrics"]["loss/total"] == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    others = evaluated(run, tmp_path / "plain")
    other = {"ablation", "checkpoint_from_here"}
    assert {k: v for k, v in found.items() if k not in other} == {k: v for k, v in others.items() if k not in other}


def test_the_share_of_the_gradient_is_that_of_finite_differences(run: Path) -> None:
    model, task, _ = load_model(run / "best.safetensors")
    settings = compose.settings(composed("dataset.size=[12,16]", "dataset.counts={train: 6, valid: 1, test: 1}"))
    data = parts.dataset(settings.dataset, "valid")
    settings.data.workers = 0
    loader = parts.evaluation_loader(data, Pipeline([], ()), task.codec, settings.data, torch.device("cpu"))
    found = gradient_shares(model, task, loader, torch.device("cpu"), Precision("fp32", torch.device("cpu")))
    model, task = model.double().eval(), task.double()
    sample = data[0]
    targets = {name: value[None] for name, value in task.codec.encode(sample.truth).items()}
    with torch.no_grad():
        pyramid = model.pyramid(sample.image[None].double() / 255)
        sums = []
        for x in pyramid.features:
            flat, total = x.view(-1), 0.0
            for i in range(len(flat)):
                value, losses = flat[i].item(), []
                for step in (1e-4, -1e-4):
                    flat[i] = value + step
                    losses.append(task.loss(model.answers(pyramid), targets)["total"].item())
                flat[i] = value
                total += abs(value * (losses[0] - losses[1]) / 2e-4)
            sums.append(total)
    assert found == pytest.approx([one / sum(sums) for one in sums], rel=1e-2)


def test_a_level_that_is_not_read_has_no_share_and_no_score() -> None:
    job = Ablation(small(), "levels")
    job.run([None, 1.0], lambda: {"miou": 0.5})
    assert list(job.values) == [1]


def test_the_skip_of_the_first_unet_is_silenced_without_the_levels_below_it() -> None:
    model = UNetFirst({"semantic": HeadSpec(2)}, 1, (0.0,), (1.0,), Transposed, width=3, depth=2).eval()
    image = torch.rand(1, 1, 60, 60)
    with changed(source(model), lambda features: silenced(features, 0, "levels")):
        found = model(image)["semantic"][0]
    first = model.ups[-1][0].weight
    with torch.no_grad():
        first[:, :3] = 0  # the skip comes before the upsampled channels
    torch.testing.assert_close(model(image)["semantic"][0], found)
    assert found.abs().sum() > 0


def test_the_mean_of_a_level_keeps_no_places() -> None:
    x = torch.arange(8.0).view(1, 2, 2, 2)
    assert silenced([x, x], 1, "means")[1].flatten(2).tolist() == [[[1.5] * 4, [5.5] * 4]]
    assert silenced([x, x], 1, "means")[0] is x


def test_unknown_kinds_and_models_without_levels_are_refused() -> None:
    with pytest.raises(UserError, match="unknown ablate: level; did you mean levels"):
        Ablation(small(), "level")
    with pytest.raises(UserError, match="ablate: this model has no levels of an encoder"):
        Ablation(PCA({"image": HeadSpec(1)}, 1, (0.0,), (1.0,), 1, (2, 2)), "levels")
