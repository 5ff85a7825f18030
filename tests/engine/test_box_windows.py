"""Boxes of overlapping windows, against those of the whole image.

The model copies channels of the image at a stride of 4, so windows see what the image shows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from densepred.codec.center_detection import CenterDetection
from densepred.contracts import Model
from densepred.engine import box_windows
from densepred.engine.amp import Precision
from densepred.errors import Notice
from densepred.loss.mse import MeanSquaredError
from densepred.metric.box_ap import BoxAp
from densepred.predictor import Predictor
from densepred.task import Task
from densepred.transform.pipeline import Pipeline
from densepred.types import Annotation, Info

STRIDE, SIZE = 4, (150, 230)
INFO = Info(classes=("cow", "sheep"), things=(0, 1), provides=("boxes", "categories"))
CPU = torch.device("cpu")


class Copy(Model):
    """Heads are every fourth pixel of channels of the image."""

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        heat, size, offset = image[..., ::STRIDE, ::STRIDE].split([2, 2, 2], 1)
        return {"class": [heat], "size": [size], "offset": [offset]}


def scene() -> Annotation:
    """Return boxes that overlap little, one on a corner of four windows, two nearly on top of one another."""
    rng = np.random.default_rng(0)
    centers = rng.uniform((5, 5), (SIZE[1] - 5, SIZE[0] - 5), (40, 2))
    half = rng.uniform(3, 12, (40, 2))
    rows = [[52.0, 52.0, 76.0, 76.0], [100.0, 60.0, 120.0, 80.0], [100.0, 66.0, 120.0, 86.0]]
    boxes = torch.tensor(rows + np.hstack([centers - half, centers + half]).tolist())
    boxes = torch.stack(
        [boxes[:, 0].clamp(0), boxes[:, 1].clamp(0), boxes[:, 2].clamp(max=229), boxes[:, 3].clamp(max=149)], 1
    )
    return Annotation(SIZE, boxes=boxes, categories=torch.tensor([0, 0, 0, *rng.integers(0, 2, 40).tolist()]))


def predicting() -> tuple[Predictor, Tensor]:
    losses = {name: MeanSquaredError() for name in ("class", "size", "offset")}
    task = Task(INFO, lambda info: CenterDetection(info, STRIDE), losses, metrics={"box_ap": BoxAp}, monitor="box_ap")
    targets = {name: value[None] for name, value in task.codec.encode(scene()).items()}
    outputs = task.codec.perfect_outputs(targets)
    image = torch.cat([outputs[name][0] for name in ("class", "size", "offset")])
    image = image.repeat_interleave(STRIDE, 1).repeat_interleave(STRIDE, 2)[:, : SIZE[0], : SIZE[1]]
    task.info = replace(INFO, channels=6, mean=(0.0,) * 6, std=(1.0,) * 6)
    return Predictor(Copy(), task, Pipeline([]), CPU, Precision("fp32", CPU)), image.contiguous()


def rows(found: Annotation) -> list[list[float]]:
    parts = found.need("boxes"), found.need("categories")[:, None], found.need("scores")[:, None]
    return sorted(torch.cat(parts, 1).mul(1000).round().tolist())


@pytest.mark.parametrize("batch", [None, 3])
def test_boxes_of_windows_are_those_of_the_whole_image(batch: int | None) -> None:
    model, image = predicting()
    whole = model(image, ready=True)
    found = model(image, ready=True, tile=64, tile_batch=batch)
    assert whole.count > 25
    assert rows(found) == rows(whole)
    scores = found.need("scores")
    assert torch.equal(scores, scores.sort(descending=True).values)


def test_a_notice_counts_boxes_that_end_with_their_window() -> None:
    model, image = predicting()
    with pytest.warns(Notice, match=r"tile=16: \d+ of \d+ boxes end where their window does"):
        model(image, ready=True, tile=16, overlap=0.0)


@pytest.mark.parametrize(
    ("length", "tile", "overlap", "step"),
    [(100, 40, 0.5, 16), (97, 33, 0.0, 8), (30, 64, 0.5, 32), (500, 100, 0.25, 128)],
)
def test_windows_cover_the_axis_and_begin_at_locations(length: int, tile: int, overlap: float, step: int) -> None:
    parts = box_windows.extents(length, tile, overlap, step)
    assert {pixel for start, stop in parts for pixel in range(start, stop)} == set(range(length))
    assert all(start % step == 0 for start, _ in parts)
    assert len({start for start, _ in parts}) == len(parts)
