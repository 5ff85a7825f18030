"""Detectors as tasks: batches without a box, and overfitting four drawn images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from densepred.cli import compose
from densepred.contracts import Model
from densepred.dataset.shapes import Shapes
from densepred.jobs import training
from densepred.jobs.parts import build
from densepred.ops.resize import resample
from densepred.predictor import load
from densepred.task import Task
from densepred.types import Annotation, Frame, Info
from tests import cases, running
from tests.codec.boxes import found_again
from tests.conftest import composed

SMALL = ("encoder=plain", "encoder.widths=[8,16,32,48,64]", "decoder=fpn_light", "decoder.width=32", "metric=[]")
TASKS = {
    "fcos": ("task=detection_fcos", *SMALL, "decoder.bare=true", "task.codec.strides=[4,8,16]", "model.depth=1"),
    "center": ("task=detection_center", *SMALL, "model.hidden=32", "task.codec.stride=4"),
}


def assembled(info: Info, *words: str) -> tuple[Task, Model]:
    settings = compose.settings(composed(*words))
    torch.manual_seed(0)
    task = build(settings.task, info=info)
    return task, build(settings.model, heads=task.heads, channels=3, mean=info.mean, std=info.std)


def scenes(count: int) -> tuple[Tensor, list[Annotation], Info]:
    shapes = Shapes("train", (64, 96), {"train": count, "valid": 1, "test": 1}, objects=(2, 3), touching=0.0)
    samples = [shapes[i] for i in range(count)]
    return torch.stack([one.image for one in samples]) / 255, [one.truth for one in samples], shapes.info


def stacked(task: Task, truths: list[Annotation]) -> dict[str, Tensor]:
    each = [task.codec.encode(truth) for truth in truths]
    return {name: torch.stack([one[name] for one in each]) for name in each[0]}


@pytest.mark.parametrize("kind", cases.few(TASKS, ["center"]))
def test_four_drawn_images_are_overfitted(kind: str) -> None:
    images, truths, info = scenes(4)
    task, model = assembled(info, *TASKS[kind])
    targets = stacked(task, truths)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.004)
    for step in range(90):
        for group in optimizer.param_groups:
            group["lr"] = 0.004 * min(1, step / 10) * (1 - step / 100)
        loss = task.loss(model(images), targets, model.align_corners)["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = task.eval().decode(model.eval()(images), [Frame(str(i), (64, 96)) for i in range(4)])
    wanted = sum(len(truth.boxes) for truth in truths if truth.boxes is not None)
    again = sum(int(found_again(truth, one, 0.6).sum()) for truth, one in zip(truths, found, strict=True))
    sure = sum(int((one.scores > 0.5).sum()) for one in found if one.scores is not None)
    assert again >= wanted - 1
    assert sure <= wanted + 2


@pytest.mark.parametrize("kind", TASKS)
def test_a_batch_without_a_box_costs_nothing_for_boxes_and_learns_the_background(kind: str) -> None:
    images, _, info = scenes(2)
    task, model = assembled(info, *TASKS[kind])
    nothing = Annotation((64, 96), boxes=torch.zeros(0, 4), categories=torch.zeros(0, dtype=torch.int64))
    terms = task.loss(model(images), stacked(task, [nothing, nothing]), model.align_corners)
    assert terms["class"] > 0
    assert all(value.item() == 0 for name, value in terms.items() if name not in ("class", "total"))
    terms["total"].backward()
    assert all(value.grad is None or value.grad.isfinite().all() for value in model.parameters())


@pytest.mark.parametrize("kind", TASKS)
def test_ground_truth_in_place_of_a_head_fits_its_grid(kind: str) -> None:
    """The oracle of an evaluation replaces outputs in this way."""
    images, truths, info = scenes(2)
    task, model = assembled(info, *TASKS[kind])
    outputs = model.eval()(images)
    perfect_outputs = task.codec.perfect_outputs(stacked(task, truths))
    frames = [Frame(str(i), (64, 96)) for i in range(2)]
    for name in task.heads:
        assert perfect_outputs[name].shape == outputs[name][-1].shape
        task.decode({**outputs, name: [perfect_outputs[name]]}, frames)


def test_losses_of_levels_are_those_of_their_cells_in_a_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locations of levels are summed in bands like the rows of a map, with the same weight."""
    images, truths, info = scenes(2)
    task, model = assembled(info, *TASKS["fcos"])
    targets, outputs = stacked(task, truths), model.eval()(images)
    whole = task.loss(outputs, targets)
    monkeypatch.setattr(resample, "CHUNK", 100)
    banded = task.loss(outputs, targets)
    for name, value in whole.items():
        torch.testing.assert_close(banded[name], value)
        if name != "total":
            pred, weight = outputs[name][-1][..., None], targets[f"{name}_weight"][..., None]
            plain: Callable[..., Any] = task.losses[name]
            torch.testing.assert_close(plain(pred, targets[name][..., None], weight), value)


@pytest.mark.parametrize("kind", TASKS)
def test_a_run_can_be_loaded_and_applied_to_images_of_any_size_with_their_mirror_image(
    kind: str, tmp_path: Path
) -> None:
    small = ("data.batch_size=2", "trainer.max_steps=1", "trainer.valid_every=1000", "data.crop=[64,64]")
    counts = "dataset.counts={train: 2, valid: 1, test: 1}"
    words = [word for word in TASKS[kind] if word != "metric=[]"]
    assert training.work(running.bare_job(tmp_path, *words, *small, counts, "transform=resize")) == 0
    predictor = load(tmp_path)
    predictor.task.codec.score_threshold = 0.0  # pyright: ignore[reportAttributeAccessIssue]
    found = predictor(torch.randint(0, 255, (3, 75, 133), dtype=torch.uint8), flip=True)
    assert found.size == (75, 133)
    assert found.boxes is not None
    assert len(found.boxes) > 0
    assert found.boxes.min() >= -0.5
    assert (found.boxes.amax(0) <= torch.tensor([132.5, 74.5, 132.5, 74.5])).all()
    assert found.categories is not None
    assert found.categories.min() >= 1, "the background is no thing"
