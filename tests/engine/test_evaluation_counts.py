"""Decoding and metrics on a pretended device: kernels and waits per image, and the annotations of a CPU.

Outputs are perfect, so each image has objects. A wait is a host read, or a copy to the device from memory that is not
pinned.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from densepred.cli import compose
from densepred.engine.evaluate import any_size
from densepred.jobs import parts
from densepred.loader.crops import merge_instances
from densepred.ops.heatmap.centers import peaks
from densepred.ops.regions.nearest_center import nearest_center
from densepred.types import Annotation
from tests import accelerated, accelerator, meta
from tests.cases import few
from tests.conftest import composed
from tests.engine.test_device import TASKS

IMAGES = 4
DATA = (f"dataset.counts={{train: 2, valid: {IMAGES}, test: 1}}", f"data.batch_size={IMAGES}", "data.workers=0")
CPU = torch.device("cpu")
MOST = {
    "semantic": {
        "decode": (17, 1),
        "confusion": (17, 3),
        "trimap": (280, 3),
        "boundary_iou": (50, 3),
        "calibration": (17, 2),
    },
    "pose": {"decode": (60, 1), "merge": (3, 1), "pck": (0, 1), "keypoint_ap": (0, 1)},
    "openpose": {"decode": (280, 18), "grouping": (0, 1)},
    "detection_fcos": {"decode": (170, 14), "box_ap": (0, 3)},
    "detection_center": {"decode": (60, 12), "box_ap": (0, 3)},
    "panoptic": {"decode": (225, 9), "confusion": (17, 3), "panoptic_quality": (20, 6), "mask_ap": (0, 3)},
    "instance_center": {"decode": (225, 9), "mask_ap": (0, 3), "nuclei": (0, 1)},
    "instance_components": {"decode": (1, 7), "nuclei": (0, 1), "object_size": (0, 1), "mask_ap": (0, 3)},
    "autoencoder": {"decode": (0, 0), "reconstruction": (40, 3)},
}
"""Kernels and waits per image, at most: the table of docs/performance.md."""
UNDECLARED = {"size", "probabilities", "source", "categories"}
"""Fields that are no prediction, that only some callers ask for, or that pose has only of given boxes."""


def counted(call: Callable[[], Any]) -> tuple[Any, tuple[int, int]]:
    counts = accelerator.COUNTS
    counts.reset()
    found = call()
    waits = sum(counts.reads.values()) + sum(counts.blocking.values())
    return found, (math.ceil(counts.kernels / IMAGES), math.ceil(waits / IMAGES))


@any_size()
@torch.inference_mode()
def evaluation(name: str, where: str) -> dict[str, Any]:
    """Decode and score perfect outputs; return counts per image, scores, sums of predictions, declared fields."""
    cfg = compose.settings(composed(*TASKS[name], "dataset.size=[96,128]", *DATA))
    dataset = parts.dataset(cfg.dataset, "valid")
    task, model = meta.task_and_model(cfg, dataset.info)
    transform, device = parts.pipeline(cfg.transform["valid"], dataset.info, "valid"), torch.device(where)
    batch = next(iter(parts.evaluation_loader(dataset, transform, task.codec, cfg.data, CPU)))
    perfect = task.codec.perfect_outputs(batch.targets)  # computed on the CPU, so that both ways have the same outputs
    outputs = {key: [value.to(device)] for key, value in perfect.items()}
    metrics, counts = task.new_metrics(), {}
    wanted = batch.owners is None and any(metric.probabilities for metric in metrics.values())
    found, counts["decode"] = counted(lambda: task.decode(outputs, batch.frames, model.align_corners, wanted))
    if batch.owners is not None:
        found, counts["merge"] = counted(lambda crops=found: merge_instances(task.codec, crops, batch))
    for option, metric in metrics.items():
        _, counts[option] = counted(lambda metric=metric: metric.update(found, batch.truths))
    scores = {key: value for metric in metrics.values() for key, value in metric.compute().items()}
    declared = [{*task.codec.predicts} - UNDECLARED == one.filled() - UNDECLARED for one in found]
    return {"counts": counts, "sums": [sums(one) for one in found], "scores": scores, "declared": declared}


def sums(found: Annotation) -> dict[str, float]:
    fields = {name: getattr(found, name, None) for name in ("semantic", "instances", "categories", "boxes", "scores")}
    return {name: float(value.cpu().double().sum()) for name, value in fields.items() if isinstance(value, Tensor)}


@pytest.mark.parametrize("name", few(MOST, ("semantic", "panoptic")))
def test_an_image_takes_few_kernels_and_waits_and_has_the_scores_of_the_cpu(name: str) -> None:
    found = accelerated.run(evaluation, name, accelerator.NAME)
    assert found["counts"].keys() == MOST[name].keys()
    for part, (kernels, waits) in found["counts"].items():
        assert kernels <= MOST[name][part][0], (part, kernels)
        assert waits <= MOST[name][part][1], (part, waits)
    expected = accelerated.run(evaluation, name, "cpu")
    assert all(found["declared"])
    assert found["scores"] == pytest.approx(expected["scores"], abs=1e-5, nan_ok=True)
    for one, other in zip(found["sums"], expected["sums"], strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def both_ways(path: str) -> list[bool]:
    """Compare maxima and nearest centers on the device with those on the CPU, where they are found in another way."""
    generator = torch.Generator().manual_seed(0)
    heat = torch.randint(0, 6, (37, 45), generator=generator) / 6  # many values are equal
    heat[3, 4:9] = torch.nan
    place = torch.rand(500, 2, generator=generator).mul_(64).round_()
    centers = torch.rand(30, 2, generator=generator).mul_(64).round_()
    device, same = torch.device(accelerator.NAME), []
    for kernel in ((1, 1), (3, 3), (7, 5)):
        own, other = (peaks(x, 50, 0.3, kernel, 2.0) for x in (heat, heat.to(device)))
        same += [torch.equal(a, b.cpu()) for a, b in zip(own, other, strict=True)]
    ours = nearest_center(place[:, 0], place[:, 1], centers, (64, 64))
    theirs = nearest_center(*place.to(device).unbind(1), centers.to(device), (64, 64))
    return [*same, torch.equal(ours, theirs.cpu())]


def test_maxima_and_nearest_centers_are_those_of_the_cpu() -> None:
    assert all(accelerated.run(both_ways, ""))
