"""Measure densepred on a CUDA device: training steps, plain loops of other libraries, loss heads, input pipeline.

Prints tables in Markdown for docs/performance.md, with the name of the card. Steps run on drawn images; times are
medians and wait for the device, the first steps are left out.

    python scripts/bench_gpu.py
    python scripts/bench_gpu.py --dry      tiny sizes, on any device: a check that the script runs
    python scripts/bench_gpu.py --only heads --only "steps:HRNet"      some of the tables and rows
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import io
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import plain_loop
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from torch import Tensor, nn

from densepred.cli import command
from densepred.cli.compose import complete, register, settings
from densepred.engine.trainer import Trainer
from densepred.jobs import parts, training
from densepred.loss.ce import CrossEntropy
from densepred.ops.loss import banded, fused
from densepred.rundir import provenance
from densepred.sweep import launcher
from densepred.types import Batch

GPU = ("trainer=gpu", "trainer.deterministic=false")
FAMILIES = {
    "U-Net, ResNet-34": ("model=unet", "encoder=resnet34"),
    "DeepLabV3, ResNet-50": ("model=deeplabv3_resnet50",),
    "FCN, ResNet-50": ("model=fcn_resnet50",),
    "HRNet-W18": ("model=hrnet",),
    "SegFormer-B0": ("model=segformer",),
    "Panoptic-DeepLab": ("task=panoptic", "model=panoptic_deeplab"),
    "FCOS": ("task=detection_fcos", "model=fcos"),
    "OpenPose": ("task=openpose", "model=openpose"),
    "Pose, HRNet-W32": ("task=pose", "model=hrnet_pose", "data.crop=[256,192]"),
}
WAYS = {
    "default": (),
    "trainer=gpu": GPU,
    "trainer=gpu, compiled": (*GPU, "trainer.compile=true"),
    "trainer=gpu, EMA": (*GPU, "trainer.ema=0.999"),
}
HEADINGS = {
    "steps": "| model | way | images/s | ms per step | kernels | waits | peak GB |\n|---|---|---|---|---|---|---|",
    "loops": "| plain loop | images/s | ms per step | peak GB |\n|---|---|---|---|",
    "heads": "| cross-entropy, ms | plain | compiled | bands | kernels | densepred |\n|---|---|---|---|---|---|",
    "pipeline": "| loader processes | images/s |\n|---|---|",
}
ONLY = "steps, loops, heads or pipeline, and a text that its rows contain; may be given more than once"
HEADS = ((16, 19, 1024, 4), (8, 150, 512, 4), (16, 19, 1024, 8), (16, 150, 1024, 4))


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def settings_of(*words: str) -> Any:
    with initialize_config_dir(str(command.configs()), version_base="1.3"):
        cfg = compose("train", overrides=list(words))
    complete(cfg, words)
    return cfg


class Steps:
    """The steps of a run: milliseconds, host waits and kernels of each."""

    def __init__(self) -> None:
        self.milliseconds: list[float] = []
        self.waits, self.kernels = 0, 0

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        step = Trainer._step

        def timed(trainer: Trainer, batches: list[Batch]) -> None:
            wait()
            begun = time.perf_counter()
            if len(self.milliseconds) == 6:
                self._profiled(lambda: step(trainer, batches))
            else:
                step(trainer, batches)
            wait()
            self.milliseconds.append(1e3 * (time.perf_counter() - begun))

        Trainer._step = timed  # pyright: ignore[reportAttributeAccessIssue]
        try:
            yield
        finally:
            Trainer._step = step

    def _profiled(self, step: Callable[[], None]) -> None:
        """Count kernels and waits of one step, which is then no measure of time."""
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_sync_debug_mode("warn")
        with warnings.catch_warnings(record=True) as seen, torch.profiler.profile() as profile:
            warnings.simplefilter("always")
            step()
        if cuda:
            torch.cuda.set_sync_debug_mode("default")
        self.waits = sum("synchroniz" in str(one.message) for one in seen)
        self.kernels = sum(one.count for one in profile.key_averages() if "LaunchKernel" in one.key)

    @property
    def median(self) -> float:
        rest = [ms for i, ms in enumerate(self.milliseconds) if i > 3 and i != 6] or self.milliseconds
        return statistics.median(rest)


def step(args: argparse.Namespace, *words: str) -> str:
    """Return a row on a family: images per second, milliseconds, kernels, waits, peak memory in GB."""
    sizes = (f"data.batch_size={args.batch}", "dataset.size=[512,1024]", f"data.workers={args.workers}")
    if args.dry:
        sizes = ("data.batch_size=2", "dataset.size=[64,96]", "data.workers=0")
        words = (*(word for word in words if "encoder" not in word), "encoder=plain", "encoder.widths=[4,8]")
    data = ("dataset.counts={train: 64, valid: 2, test: 2}", *sizes)
    length = ("trainer.epochs=null", f"trainer.max_steps={3 if args.dry else 16}", "trainer.pictures=0")
    cfg = settings_of(*words, *data, *length)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    steps = Steps()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()), steps.counted():
        job = training.TrainingJob(
            settings(cfg), provenance.as_written(cfg), Path(folder), {"task": "", "model": "", "dataset": ""}, set(), []
        )
        try:
            training.work(job)
        except Exception as error:  # one family that fails must not hide the others
            return f"{type(error).__name__}: {str(error)[:60]} | | | |"
    size = cfg.data.batch_size
    return f"{1e3 * size / steps.median:.0f} | {steps.median:.1f} | {steps.kernels} | {steps.waits} | {peak():.1f}"


def peak() -> float:
    """Return the most memory of the device that tensors had since the last reset, in GB."""
    return torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0


def loops(args: argparse.Namespace) -> list[tuple[str, Callable[[], str]]]:
    """Return rows on plain loops with models of other libraries: bf16, channels_last, AdamW, cross-entropy."""
    from torchvision.models import segmentation

    models: dict[str, Callable[[], nn.Module]] = {
        "torchvision DeepLabV3, ResNet-50": partial(segmentation.deeplabv3_resnet50, weights_backbone=None),
        "torchvision FCN, ResNet-50": partial(segmentation.fcn_resnet50, weights_backbone=None),
    }
    if importlib.util.find_spec("segmentation_models_pytorch"):
        smp = importlib.import_module("segmentation_models_pytorch")
        models["SMP U-Net, ResNet-34"] = partial(smp.Unet, "resnet34", encoder_weights=None, classes=plain_loop.CLASSES)
        models["timm HRNet-W18, head of HRNetV2"] = plain_loop.HRNetV2
    if args.dry:
        models = {"one convolution": partial(nn.Conv2d, 3, plain_loop.CLASSES, 3, padding=1)}
    return [(name, partial(loop, args, make)) for name, make in models.items()]


def loop(args: argparse.Namespace, make: Callable[[], nn.Module]) -> str:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = make().to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = torch.optim.AdamW(model.parameters())
    size, batch = ((64, 96), 2) if args.dry else ((512, 1024), args.batch)
    image = torch.rand(batch, 3, *size, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, plain_loop.CLASSES, (batch, *size), device=device)
    times = []
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    for _ in range(3 if args.dry else 16):
        wait()
        begun = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16):
            found = model(image)
        logits = found["out"] if isinstance(found, dict) else found
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        wait()
        times.append(1e3 * (time.perf_counter() - begun))
    median = statistics.median(times[4:] or times)
    return f"{1e3 * batch / median:.0f} | {median:.1f} | {peak():.1f}"


def head(batch: int, classes: int, side: int, stride: int, dry: bool) -> str:
    """Return milliseconds of cross-entropy, both passes: plain, compiled, in bands, by kernels, by densepred's rule."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batch, side = (1, 64) if dry else (batch, side)
    logits = torch.randn(batch, classes, side // stride, side // stride, device=device, requires_grad=True)
    labels = torch.randint(0, classes, (batch, side, side), dtype=torch.uint8, device=device)
    loss = CrossEntropy().to(device)

    def plain() -> Tensor:
        return F.cross_entropy(F.interpolate(logits, (side, side), mode="bilinear"), labels.long())

    def ruled() -> Tensor:
        return loss.value(banded.sums(loss, logits, labels))

    def bands() -> Tensor:
        return loss.value(banded._Sums.apply(logits, loss, labels, None, False, None))

    def kernels() -> Tensor:
        return loss.value(fused.sums(loss, logits, labels, None, False))

    compiled = plain if dry else torch.compile(plain)
    ways = (plain, compiled, bands, kernels if fused.chosen(loss, logits) else None, ruled)
    return " | ".join("" if way is None else timed(way, 2 if dry else 10) for way in ways)


def timed(way: Callable[[], Tensor], count: int) -> str:
    try:
        for _ in range(3):
            way().backward()
        wait()
        begun = time.perf_counter()
        for _ in range(count):
            way().backward()
        wait()
    except torch.OutOfMemoryError:
        return "out of memory"
    return f"{1e3 * (time.perf_counter() - begun) / count:.2f}"


def pipeline(args: argparse.Namespace, workers: int) -> str:
    """Return images per second that loader processes give, without a network."""
    size = "[64,96]" if args.dry else "[512,1024]"
    count = 16 if args.dry else 256
    words = (f"dataset.size={size}", f"dataset.counts={{train: {count}, valid: 1, test: 1}}", f"data.workers={workers}")
    chosen = settings(settings_of(*words, "trainer.max_steps=1"))
    data = parts.dataset(chosen.dataset, "train")
    task, _ = parts.task_and_model(chosen.task, chosen.model, data.info)
    augment = parts.pipeline(chosen.transform["train"], data.info, "train", task.codec)
    loader = parts.training_loader(data, augment, task.codec, chosen.data, 0, torch.device("cpu"))
    begun, images = time.perf_counter(), 0
    for batch in loader.epoch(0):
        images += len(batch.image)
    loader.close()
    return f"{images / (time.perf_counter() - begun):.0f}"


def is_wanted(only: list[str], table: str, name: str) -> bool:
    return not only or any(table == word.partition(":")[0] and word.partition(":")[2] in name for word in only)


def tables(args: argparse.Namespace) -> dict[str, list[tuple[str, Callable[[], str]]]]:
    """Return the rows of each table, by its name in HEADINGS; a row is measured when it is called."""
    one = 1 if args.dry else None
    families = [(name, words, way) for name, words in list(FAMILIES.items())[:one] for way in list(WAYS)[:one]]
    steps = [(f"{name} | {way}", partial(step, args, *words, *WAYS[way])) for name, words, way in families]
    heads = [
        (
            f"{batch} images of {side}, {classes} classes, stride {stride}",
            partial(head, batch, classes, side, stride, args.dry),
        )
        for batch, classes, side, stride in HEADS[:one]
    ]
    workers = [(str(count), partial(pipeline, args, count)) for count in ((0, 2) if args.dry else (1, 2, 4, 8, 16))]
    return {"steps": steps, "loops": loops(args), "heads": heads, "pipeline": workers}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--dry", action="store_true", help="tiny sizes, the first family only")
    parser.add_argument("--only", action="append", default=[], metavar="TABLE[:TEXT]", help=ONLY)
    args = parser.parse_args()
    register()
    launcher.register()
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device"
    print(f"{card}, torch {torch.__version__}, batches of {args.batch}, 512 x 1024 (pose: 256 x 192)\n")
    for table, rows in tables(args).items():
        chosen = [(name, row) for name, row in rows if is_wanted(args.only, table, name)]
        if not chosen:
            continue
        print(HEADINGS[table])
        for name, row in chosen:
            print(f"| {name} | {row()} |", flush=True)
        print()


if __name__ == "__main__":
    main()
