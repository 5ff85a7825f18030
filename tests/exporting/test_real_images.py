"""ONNX files of whole presets beside their models, on crops of real images at odd sizes, as in docs/deploy.md."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from densepred.dataset.image import read_image
from densepred.exporting import convert, parity
from densepred.exporting.network import Network, example
from densepred.jobs import export, parts
from tests import running
from tests.conftest import REPOSITORY

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

DATA = REPOSITORY.parent / "shared" / "data"
SIZES = ((233, 311), (301, 187))
FACTOR = 4
"""Largest error of a file against float64, in errors of torch's own float32: deep networks enlarge rounding."""
PRESETS = {
    "unet": ("semantic", "camvid"),
    "deeplabv3": ("semantic", "camvid"),
    "hrnet": ("semantic", "camvid"),
    "panoptic_deeplab": ("panoptic", "coco_panoptic"),
    "fcos": ("detection_fcos", "coco_panoptic"),
    "hrnet_pose": ("pose", "pose_coco"),
    "openpose": ("openpose", "pose_coco"),
}


def crops(folder: Path, size: tuple[int, int], count: int = 2) -> Tensor:
    """Return the top left corners of the first images that are large enough, (count, 3, *size) in [0, 1]."""
    found = []
    for path in sorted((folder / "images").rglob("*.jpg")):
        with Image.open(path) as image:
            fits = image.height >= size[0] and image.width >= size[1]
        if fits:
            found.append(read_image(path, 3)[:, : size[0], : size[1]].float() / 255)
        if len(found) == count:
            return torch.stack(found)
    pytest.skip(f"../shared/data has fewer than {count} images of {size} in {folder.name}")


def measure_norms(net: torch.nn.Module, images: Tensor) -> None:
    """Give batch norms the statistics of images: with random weights and those of the start, outputs vanish."""
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = None  # the mean of all batches, here of one
    with torch.no_grad():
        net.train()(images)


@pytest.mark.slow
@pytest.mark.parametrize("model", PRESETS)
def test_a_preset_agrees_on_real_images_at_odd_sizes(model: str, tmp_path: Path) -> None:
    task_name, data = PRESETS[model]
    images = [crops(DATA / data, size) for size in SIZES]
    settings = running.bare_job(tmp_path / "run", f"task={task_name}", f"model={model}").settings
    torch.manual_seed(0)
    task, net = parts.task_and_model(settings.task, settings.model, parts.dataset(settings.dataset, "train").info)
    measure_norms(net, images[0])
    network = Network(net.eval(), task.heads).eval()
    exported = convert.program(network, example(3, None), None)
    trial = tmp_path / "model.onnx"
    _, found = export._written(exported, network, trial, trial, 18)
    exact, single = parity.reference(copy.deepcopy(network).double()), parity.reference(network)
    for batch in images:
        truth, torchs, theirs = exact(batch.double()), single(batch), found(batch)
        for name, one in truth.items():
            scale = one.abs().max()
            rounding = float((torchs[name] - one).abs().max() / scale)
            error = float((theirs[name] - one).abs().max() / scale)
            print(f"{model} {tuple(batch.shape)} {name}: file {error:.1e}, torch {rounding:.1e}")
            assert error <= FACTOR * max(rounding, torch.finfo(torch.float32).eps), name
