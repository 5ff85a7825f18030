"""Files of an evaluation: per image, and the confusion matrix of all, in agreement with the scores."""

from __future__ import annotations

import csv
import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from densepred.cli import compose
from densepred.jobs import evaluation, parts, per_image
from densepred.jobs.gallery import Gallery
from densepred.jobs.per_image import PerImage
from densepred.reporting import compare, runs
from densepred.types import Annotation, Batch, Frame, Info
from tests import running
from tests.conftest import composed


def test_matrices_per_image_add_up_to_the_scores_of_the_dataset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    monkeypatch.chdir(tmp_path)
    assert running.train(run, "trainer.max_steps=2", "encoder.widths=[2,4]") == 0
    words = (
        "dataset=shapes",
        "dataset.size=[24,32]",
        "dataset.counts={train: 10, valid: 3, test: 3}",
        "data.workers=0",
    )
    cfg = composed("ckpt=run", *words, "data.workers=0", "data.batch_size=2", "pictures=2", name="eval")
    assert evaluation.work(evaluation.EvaluationJob(compose.settings(cfg), tmp_path / "out")) == 0
    assert "per_image.csv, confusion.csv, per_image_confusion.json, confusion.png, pictures" in capsys.readouterr().out
    means = {row["image"]: float(row["miou"]) for row in csv.DictReader((tmp_path / "out" / "per_image.csv").open())}
    worst = sorted(means, key=lambda name: means[name])[:2]
    names = [f"{number:03d}_{name.replace('/', '_')}.png" for number, name in enumerate(worst, 1)]
    assert sorted(path.name for path in (tmp_path / "out" / "pictures").iterdir()) == [*names, "pictures.json"]
    with Image.open(tmp_path / "out" / "confusion.png") as picture:
        assert min(picture.size) > 300
    facts = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert facts["checkpoint"] == str((run / "best.safetensors").resolve())
    assert facts["checkpoint_from_here"] == "../run/best.safetensors"
    metrics = facts["metrics"]
    rows = list(csv.reader((tmp_path / "out" / "confusion.csv").open()))
    matrix = np.array([[int(cell) for cell in row[1:]] for row in rows[1:]])
    assert rows[0] == ["truth", *(row[0] for row in rows[1:]), "void"]
    assert matrix.sum() == 3 * 24 * 32
    assert compare.miou(matrix) == pytest.approx(metrics["miou"])
    monkeypatch.chdir("/")
    (checkpoint, found), *rest = runs._evaluations([tmp_path], [])
    assert not rest
    drawn = [(one.file.name, one.image, one.metric) for one in found.pictures]
    assert drawn == [(file, name, "miou") for file, name in zip(names, worst, strict=True)]
    assert [one.score for one in found.pictures] == pytest.approx([means[name] for name in worst])
    assert checkpoint == (run / "best.safetensors").resolve()
    assert np.array_equal(found.matrix(), matrix)  # type: ignore[arg-type]
    assert len(found.images) == 3
    for name, scores in found.images.items():
        assert scores["miou"] == pytest.approx(float(compare.miou(found.matrices[name])))


def test_names_that_are_not_utf_8_are_written_escaped(tmp_path: Path) -> None:
    path = per_image._write_csv(tmp_path / "scores.csv", [["image"], ["a\udce9.png"]])
    assert path.read_text(encoding="utf-8") == "image\na\\udce9.png\n"


def test_other_tasks_have_their_own_metrics_per_image(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("task=autoencoder", "encoder.widths=[2,4]", "trainer.max_steps=1")
    assert running.train(run, *words, "model=autoencoder") == 0
    cfg = composed(f"ckpt={run}", "dataset=shapes", "dataset.size=[24,32]", "data.workers=0", name="eval")
    cfg.dataset.counts = {"train": 10, "valid": 3, "test": 3}
    assert evaluation.work(evaluation.EvaluationJob(compose.settings(cfg), tmp_path / "out")) == 0
    assert not (tmp_path / "out" / "confusion.csv").exists()
    rows = list(csv.DictReader((tmp_path / "out" / "per_image.csv").open()))
    mean = json.loads((tmp_path / "out" / "metrics.json").read_text())["metrics"]
    assert len(rows) == 3
    assert len(list((tmp_path / "out" / "pictures").glob("*.png"))) == 3
    name = next(key for key in rows[0] if key != "image" and "mse" in key)
    assert np.mean([float(row[name]) for row in rows]) == pytest.approx(mean[name], rel=1e-5)


def test_the_worst_come_first_in_the_direction_of_the_score(tmp_path: Path) -> None:
    settings = running.job(tmp_path, "task=autoencoder", "model=autoencoder").settings
    task = parts.task_and_model(settings.task, settings.model, Info(provides=()))[0]
    found = Annotation((8, 8), image=torch.zeros(3, 8, 8))
    gallery = Gallery(task, 2)
    for name, error in (("a", 0.3), ("b", 0.1), ("c", None), ("d", 0.7)):
        gallery.add(name, {"unknown": 1.0, "mse": error}, torch.zeros(3, 8, 8), found, found)
    assert [path.name for path in gallery.write(tmp_path)] == ["pictures"]
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == ["001_d.png", "002_a.png", "pictures.json"]
    assert Gallery(task, 0).write(tmp_path) == []
    assert not list((tmp_path / "pictures").iterdir())  # they were of another evaluation


@pytest.mark.parametrize(("count", "told"), [(3, True), (8, False), (0, False)])
def test_typed_pictures_without_effect_are_named(tmp_path: Path, count: int, told: bool) -> None:
    settings = running.job(tmp_path, "task=autoencoder", "model=autoencoder").settings
    task = parts.task_and_model(settings.task, settings.model, Info(provides=()))[0]
    task.codec.top_down = True
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        Gallery(task, count)
    assert [str(one.message).split(": ")[0] for one in found] == [f"pictures={count}"] * told


@pytest.mark.parametrize("order", ["abcd", "dcba", "bdac"])
def test_of_equal_scores_the_names_decide_not_the_order(tmp_path: Path, order: str) -> None:
    settings = running.job(tmp_path, "task=autoencoder", "model=autoencoder").settings
    task = parts.task_and_model(settings.task, settings.model, Info(provides=()))[0]
    found = Annotation((8, 8), image=torch.zeros(3, 8, 8))
    gallery = Gallery(task, 2)
    for name in order:
        gallery.add(name, {"mse": 0.5}, torch.zeros(3, 8, 8), found, found)
    assert [one[1] for one in gallery.kept] == ["a", "b"]


def test_of_a_class_map_only_the_counts_above_0_are_kept(tmp_path: Path) -> None:
    settings = running.job(tmp_path).settings
    info = Info(classes=tuple(f"class {number}" for number in range(150)), provides=("semantic",))
    each = PerImage(parts.task_and_model(settings.task, settings.model, info)[0])
    truth = torch.full((40, 50), 3, dtype=torch.uint8)
    guess = truth.clone()
    guess[:10], truth[39] = 149, 255
    frame = Frame("a", (40, 50))
    batch = Batch(torch.zeros(1, 3, 40, 50), {}, [frame], [Annotation((40, 50), semantic=truth)])
    each(batch, [Annotation((40, 50), semantic=guess)], {})
    (row,) = each.rows
    assert row.counts is not None
    assert row.counts.nbytes == 2 * 16
    assert row.entries(151) == [[3, 3, 1450], [3, 149, 500]]
    assert [path.name for path in each.write(tmp_path)][1:] == [
        "confusion.csv",
        "per_image_confusion.json",
        "confusion.png",
    ]
    assert json.loads((tmp_path / "per_image_confusion.json").read_text())["images"] == {"a": row.entries(151)}
    each.rows = [replace(row, scores={"ap": 0.5}, counts=None)]  # of a task without class maps, in the same folder
    assert [path.name for path in each.write(tmp_path)] == ["per_image.csv"]
    assert [path.name for path in tmp_path.iterdir()] == ["per_image.csv"]
    each.rows = []
    assert each.write(tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_images_with_instances_have_the_score_of_the_task_before_those_of_the_class_map(tmp_path: Path) -> None:
    settings = running.job(tmp_path, "task=instance_center", "model=unet", "encoder.widths=[2,4]").settings
    info = Info(classes=("ground", "cell"), things=(1,), provides=("semantic", "instances", "categories"))
    task = parts.task_and_model(settings.task, settings.model, info)[0]
    each = PerImage(task)
    truth = torch.zeros(20, 30, dtype=torch.int32)
    truth[2:9, 2:9], truth[11:18, 4:20] = 1, 2
    joined = truth.clamp(max=1)  # as a map of classes it is perfect, as instances it is not
    frame, kinds = Frame("a", (20, 30)), torch.tensor([1, 1])
    semantic = (truth > 0).to(torch.uint8)
    true = Annotation((20, 30), semantic=semantic, instances=truth, categories=kinds)
    found = Annotation((20, 30), semantic=semantic, instances=joined, categories=kinds[:1], scores=torch.ones(1))
    each(Batch(torch.zeros(1, 3, 20, 30), {}, [frame], [true]), [found], {})
    (row,) = each.rows
    assert next(iter(row.scores)) == task.monitor == "ap"
    assert row.scores["miou"] == 1
    assert row.scores["ap"] is not None
    assert row.scores["ap"] < 0.5


def test_an_image_without_crops_has_its_name_and_its_row(tmp_path: Path) -> None:
    truths = [Annotation((20, 30), source=(None, name)) for name in ("train/a", "train/b")]
    batch = Batch(torch.zeros(0), owners=[1], frames=[Frame("train/b", (20, 30))], truths=truths)
    assert per_image._names(batch) == ["train/a", "train/b"]
