"""Training, evaluation and prediction on an accelerator: devices, host reads and copies of every task.

The accelerator is pretended (`tests.accelerator`): it computes real numbers under CUDA's rules on devices.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from densepred import predict
from densepred.cli import compose
from densepred.engine import evaluate, trainer
from densepred.jobs import evaluation, training
from densepred.model.encoder_decoder import EncoderDecoder
from densepred.ops import precise
from densepred.ops.loss import banded
from densepred.task import Task
from densepred.types import Batch
from tests import accelerated, accelerator, cases, running
from tests.conftest import composed

SMALL = ("dataset.size=[48,64]", "dataset.counts={train: 12, valid: 4, test: 1}", "data.batch_size=4")
PLAIN = ("encoder=plain", "encoder.widths=[4,8,8,8]")
RUN = (*SMALL, "trainer.epochs=null", "trainer.max_steps=2", "trainer.log_every=2", "trainer.ema=0.9")
POSE = (*PLAIN, "task=pose", "model=encoder_decoder", "decoder=unet", "data.crop=[32,24]")
THIN = ("model.width=8", "model.features=[8]", "model.first_hidden=8")
TASKS = {
    "semantic": (*PLAIN, "metric=[confusion,trimap,boundary_iou,calibration]"),
    "pose": (*POSE, "metric=[pck,keypoint_ap]"),
    "openpose": (*PLAIN, "task=openpose", "model=openpose_light", *THIN),
    "detection_fcos": ("task=detection_fcos", "model=fcos_light", "encoder=plain", "encoder.widths=[4,4,4,8,8,8]"),
    "detection_center": (*PLAIN, "task=detection_center", "model=center_detection", "decoder=unet"),
    "panoptic": ("task=panoptic", "model=encoder_decoder", *PLAIN, "metric=[confusion,panoptic_quality,mask_ap]"),
    "instance_center": ("task=instance_center", *PLAIN, "metric=[mask_ap,nuclei]"),
    "instance_components": ("task=instance_components", *PLAIN, "metric=[nuclei,object_size,mask_ap]"),
    "autoencoder": ("task=autoencoder", "model=autoencoder", "encoder.widths=[4,8]"),
    "linear": ("task=autoencoder", "model=linear_autoencoder"),
    "residual": ("task=autoencoder", "model=residual_autoencoder", "model.width=8"),
}
CHEAP = ("linear", "pose")


def steps(folder: Path, *words: str) -> list[dict[str, Any]]:
    """Train in this process; return the counts of each step."""
    found, step, counts = [], trainer.Trainer._step, accelerator.COUNTS

    def counted(self: trainer.Trainer, batches: Any) -> None:
        counts.reset()
        step(self, batches)
        reads, blocking = dict(counts.reads), dict(+counts.blocking)
        launched = dict(counts.launched)
        found.append({"kernels": counts.kernels, "reads": reads, "blocking": blocking, "launched": launched})

    trainer.Trainer._step = counted
    with contextlib.redirect_stdout(io.StringIO()):
        code = training.work(running.bare_job(folder, *RUN, *words))
    trainer.Trainer._step = step
    assert code == 0
    return found


def everything(name: str, path: str) -> dict[str, Any]:
    """Train, resume, evaluate and predict; return the counts of the last step and the numbers of the run."""
    folder, words = Path(path), TASKS[name]
    last = steps(folder / "run", *words, "trainer.pictures=1")[-1]
    longer = ("trainer.max_steps=3", f"trainer.resume={folder / 'run'}", "trainer.allow=[trainer.max_steps]")
    steps(folder / "run", *words, "trainer.pictures=1", *longer)
    scores = [word for word in words if word.startswith("metric=")]
    evaluated = (f"ckpt={folder / 'run'}", *SMALL[:2], "data.workers=0", *scores, "flip=true", "probes=true")
    cfg = composed(*evaluated, name="eval")
    with contextlib.redirect_stdout(io.StringIO()):
        assert evaluation.work(evaluation.EvaluationJob(compose.settings(cfg), folder / "eval")) == 0
        Image.new("RGB", (64, 48), (200, 40, 40)).save(folder / "1.png")
        words = (f"ckpt={folder / 'run'}", f"input={folder / '1.png'}", f"output={folder / 'out'}")
        assert predict.predict(composed(*words, name="predict")) == 0
    return {**last, "run": running.metrics(folder / "run")}


def without_float64(name: str, path: str) -> dict[str, Any]:
    """Do the same on a device without float64, as Apple's are."""
    precise.WITHOUT.add(accelerator.NAME)
    accelerator.REFUSED.add(torch.float64)
    return everything(name, path)


def trained(name: str, path: str) -> dict[str, Any]:
    """Train and validate; return the counts of the last step and the numbers of the run."""
    last = steps(Path(path), *TASKS[name], "trainer.pictures=1")[-1]
    return {**last, "run": running.metrics(Path(path))}


def precisions(path: str) -> dict[str, list[str]]:
    """Return the precision of float32 products in the model, the loss, its backward pass and the decoding of a run."""
    found: dict[str, set[str]] = {}

    def note(owner: Any, name: str) -> None:
        before = getattr(owner, name)

        def noted(*arguments: Any, **options: Any) -> Any:
            found.setdefault(name, set()).add(torch.get_float32_matmul_precision())
            return before(*arguments, **options)

        setattr(owner, name, noted)

    for owner, name in ((Task, "loss"), (Task, "decode"), (EncoderDecoder, "forward"), (banded._Walk, "open")):
        note(owner, name)
    steps(Path(path), *PLAIN, "loss=dice")
    return {name: sorted(values) for name, values in found.items()}


@pytest.mark.slow
def test_only_the_network_computes_in_tf32(tmp_path: Path) -> None:
    exact = {name: ["highest"] for name in ("loss", "decode", "open")}
    assert accelerated.run(precisions, tmp_path) == {"forward": ["high"], **exact}


def validation(path: str) -> dict[str, int]:
    """Return the host reads of one validation, by line, of metrics of class maps on 4 images in one batch."""
    counts, decode = accelerator.COUNTS, evaluate.decode_and_score
    found: dict[str, int] = {}

    def counted(*arguments: Any) -> Any:
        counts.reset()
        given = decode(*arguments)
        found.update(counts.reads)
        return given

    evaluate.decode_and_score = counted
    steps(Path(path), *TASKS["semantic"])
    return found


def test_metrics_of_class_maps_wait_for_their_counts_alone(tmp_path: Path) -> None:
    found = accelerated.run(validation, tmp_path)
    assert {line.partition(":")[0] for line in found} <= {"ops/regions/pair_counts.py", "metric/boundary_iou.py"}, found
    assert sum(found.values()) <= 4 * 10, found


@pytest.mark.parametrize("name", CHEAP)
def test_a_step_reads_once_and_its_copies_do_not_wait(name: str, tmp_path: Path) -> None:
    found = accelerated.run(trained, name, tmp_path)
    assert sum(found["reads"].values()) == 1, found["reads"]
    assert found["blocking"] == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_every_command_runs_with_its_tensors_on_the_device(name: str, tmp_path: Path) -> None:
    found = accelerated.run(everything, name, tmp_path)
    assert sum(found["reads"].values()) == 1, found["reads"]
    assert found["blocking"] == {}


@pytest.mark.parametrize("name", cases.few(TASKS, ["instance_center"]))
def test_every_command_runs_on_a_device_without_float64(name: str, tmp_path: Path) -> None:
    assert accelerated.run(without_float64, name, tmp_path)["run"]


DEFERRED = {
    "default": (*PLAIN, "data.crop=[32,48]"),
    "averaged": (*PLAIN, "data.crop=[24,24]", "transform.train.0.low=0.1", "transform.train.0.high=0.5"),
    "elastic": (*PLAIN, "transform=elastic", "data.crop=[32,48]"),
    "pose": (*POSE, "transform=pose"),
    "copy_paste": (*PLAIN, "transform=copy_paste", "data.crop=[32,48]"),
}
KERNELS = {"default": 10 + 2 * 4, "averaged": 11 + 3 * 4, "elastic": 15 + 2 * 4, "pose": 15 + 2 * 4, "copy_paste": 7}
"""The most further kernels of a step on 4 images: two per image, one if it is averaged, and one beyond the image."""

ON_DEVICE = "data.transform_on_device=true"


def deferred(name: str, path: str) -> dict[str, Any]:
    """Train on a device without float64, images transformed there and in the loader; return counts and images."""
    precise.WITHOUT.add(accelerator.NAME)
    accelerator.REFUSED.add(torch.float64)
    images: dict[str, list[torch.Tensor]] = {"loader": [], "device": []}
    counts, to = {}, Batch.to
    for place, words in (("loader", ()), ("device", (ON_DEVICE,))):

        def kept(self: Batch, device: torch.device, place: str = place) -> Batch:
            found = to(self, device)
            images[place].append(found.image.detach().cpu())
            return found

        Batch.to = kept
        counts[place] = steps(Path(path) / place, *DEFERRED[name], *words)[-1]
    pairs = list(zip(*images.values(), strict=True))
    apart = [(one - other).abs() for one, other in pairs]
    largest, share = max(float(one.max()) for one in apart), max(float((one > 0).float().mean()) for one in apart)
    return {**counts, "batches": len(pairs), "largest": largest, "share": share}


@pytest.mark.parametrize("name", cases.few(DEFERRED, ["averaged", "pose"]))
def test_images_are_transformed_on_the_device_under_its_rules(name: str, tmp_path: Path) -> None:
    found = accelerated.run(deferred, name, tmp_path)
    assert found["batches"] > 2
    assert found["largest"] <= 1.01 / 255  # a product of a batch rounds otherwise, which may move a value by one
    assert found["share"] < 1e-3
    loader, device = found["loader"], found["device"]
    assert device["blocking"] == {}
    assert device["reads"] == loader["reads"]
    assert device["kernels"] - loader["kernels"] <= KERNELS[name]
