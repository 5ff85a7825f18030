"""Predict a folder of small images in turn with workers, without, and by a plain loop of torchvision.

All sides use the same small U-Net and write labels and overlays as PNG. Torch has one thread per processor, and there
are as many workers. Wall time counts, so the processors should be free; the processor seconds of all processes of a
side are printed too. Ours also waits until each file is on the disk, and writes it under another name first.

    python scripts/bench_predict.py
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from alternate import report
from PIL import Image
from torch.nn import functional as F
from torchvision.io import decode_image, write_png
from torchvision.utils import draw_segmentation_masks

from densepred.codec.semantic import Semantic
from densepred.dataset.shapes import Shapes
from densepred.decoder.unet import UNet
from densepred.encoder.plain import Plain
from densepred.engine.amp import Precision
from densepred.loss.ce import CrossEntropy
from densepred.model.encoder_decoder import EncoderDecoder
from densepred.predictor import Predictor
from densepred.results import in_parallel
from densepred.results.files import OverlaySettings, Results
from densepred.results.predicting import Predicting, Work, Writers
from densepred.task import Task
from densepred.transform.pipeline import Pipeline
from densepred.types import Info
from densepred.upsample.bilinear import Bilinear

CPU = torch.device("cpu")
SETTINGS = SimpleNamespace(
    batch_size=None,
    blend="gaussian",
    flip=False,
    max_pixels=2**20,
    overlap=0.5,
    probabilities=False,
    scales=[1.0],
    tile=None,
    tile_batch=None,
    uncertainty=False,
)
"""Settings of the command."""


def predictor(info: Info) -> Predictor:
    torch.manual_seed(0)
    task = Task(info, Semantic, {"semantic": CrossEntropy()}, metrics={})
    encoder, decoder = partial(Plain, widths=(12, 24, 48, 96)), partial(UNet, upsample=Bilinear)
    model = EncoderDecoder(encoder, decoder, task.heads, info.channels, info.mean, info.std)
    return Predictor(model, task, Pipeline([]), CPU, Precision("fp32", CPU))


def ours(model: Predictor, files: list[Path], output: Path, workers: int) -> None:
    """Predict the files as the command does."""
    results = Results(output, model.info, OverlaySettings(probabilities=False))
    works = [Work(file, Path(file.name), Path(file.stem), number) for number, file in enumerate(files)]
    found = in_parallel.outcomes(Predicting(model, SETTINGS, Writers(results)), works, workers)
    assert all(outcome.error is None for outcome in found)


@torch.inference_mode()
def plain(model: Predictor, files: list[Path], output: Path) -> None:
    """Predict the files one after another by functions of torchvision."""
    colours: list[Any] = list(model.info.palette)
    for kind in ("labels", "overlays"):
        (output / kind).mkdir(parents=True)
    for file in files:
        image = decode_image(str(file))
        logits = model.model(image[None] / 255)["semantic"][-1]
        labels = F.interpolate(logits, image.shape[-2:], mode="bilinear").argmax(1)
        write_png(labels.byte(), str(output / "labels" / file.name))
        masks = labels == torch.arange(len(colours))[:, None, None]
        write_png(draw_segmentation_masks(image, masks, colors=colours), str(output / "overlays" / file.name))


def timed(act: Callable[[Path], None], folder: Path) -> tuple[float, float]:
    """Return wall seconds, and processor seconds of this process and the workers that it ended."""
    began, used = time.perf_counter(), processor_seconds()
    act(folder / "out")
    seconds = time.perf_counter() - began, processor_seconds() - used
    shutil.rmtree(folder / "out")
    return seconds


def processor_seconds() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--size", type=int, nargs=2, default=[96, 128])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processors", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    torch.set_num_threads(args.processors)
    data = Shapes("train", args.size, {"train": args.images, "valid": 1, "test": 1})
    model = predictor(data.info)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [folder / f"{index:05d}.png" for index in range(args.images)]
        for index, file in enumerate(files):
            Image.fromarray(data[index].image.permute(1, 2, 0).contiguous().numpy()).save(file)
        sides: dict[str, Callable[[Path], None]] = {
            "workers": lambda output: ours(model, files, output, args.processors),
            "none": lambda output: ours(model, files, output, 0),
            "torchvision": lambda output: plain(model, files, output),
        }
        times: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
        for _ in range(args.rounds):
            for side, act in sides.items():
                times[side].append(timed(act, folder))
    wall = {side: statistics.median(wall for wall, _ in found) for side, found in times.items()}
    for side, found in times.items():
        used = statistics.median(used for _, used in found)
        print(
            f"{side}: {1000 * wall[side] / args.images:.1f} ms, {1000 * used / args.images:.1f} ms of processors, each"
        )
    kind = f"predict {args.size[0]}x{args.size[1]}, {args.processors} processors"
    for other in ("none", "torchvision"):
        report(f"{kind}, workers / {other}", wall["workers"], wall[other])
    report(f"{kind}, one process / torchvision", wall["none"], wall["torchvision"])


if __name__ == "__main__":
    main()
