"""Measure densepred on a CUDA device: training steps, plain loops of other libraries, loss heads, input pipeline.

Prints tables in Markdown for docs/performance.md, with the name of the card. Steps run on drawn images; times are
medians and wait for the device, the first steps are left out.

    python scripts/bench_gpu.py --rows missing --minutes 10      those without figures in docs/performance.md

    python scripts/bench_gpu.py --only heads --only "steps:HRNet"      some of the tables and rows

    python scripts/bench_gpu.py --dry      tiny sizes, on any device: a check that the script runs
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import gpu_steps
import plain_loop
import torch
import torch.nn.functional as F
from bench_device_transforms import Kept
from gpu_steps import peak, settings_of, wait
from torch import Tensor, nn

from densepred.cli.compose import register, settings
from densepred.jobs import parts
from densepred.loader.prefetch import prefetch
from densepred.loss.ce import CrossEntropy
from densepred.ops.loss import banded, fused
from densepred.sweep import launcher

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
    "trainer=gpu, EMA": (*GPU, "trainer.ema=0.999"),
    "trainer=gpu, compiled": (*GPU, "trainer.compile=true"),
}
PLACES = {"": (), ", transforms on the device": ("data.transform_on_device=true",)}
HEADINGS = {
    "steps": "| model | way | images/s | ms per step | kernels | waits | peak GB |\n|---|---|---|---|---|---|---|",
    "loops": "| plain loop | images/s | ms per step | peak GB |\n|---|---|---|---|",
    "heads": "| cross-entropy, ms | plain | compiled | bands | kernels | densepred |\n|---|---|---|---|---|---|",
    "pipeline": "| input pipeline | images/s |\n|---|---|",
}
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
ONLY = "steps, loops, heads or pipeline, and a text that its rows contain; may be given more than once"
ROWS = "missing: those without figures in docs/performance.md; all begins with them"
HEADS = ((16, 19, 1024, 4), (8, 150, 512, 4), (16, 19, 1024, 8), (16, 150, 1024, 4))


def step(args: argparse.Namespace, *words: str) -> str:
    """Return a row on a family."""
    if not args.dry:
        return gpu_steps.row(words, args.batch, (512, 1024), 16)
    kept = [word for word in words if "encoder" not in word and word != "trainer=gpu"]
    if not any(word.startswith("task=") for word in kept):
        kept = [*(word for word in kept if not word.startswith("model=")), "encoder=plain", "encoder.widths=[4,8]"]
    return gpu_steps.row(kept, 2, (64, 96), 2)


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


def pipeline(args: argparse.Namespace, workers: int, *more: str) -> str:
    """Return images per second that loader processes give, without a network, after the first batches.

    They are cut from images in memory, as with data.cache=ram, and end on the device.
    """
    size, crop, seconds = ((64, 96), "[32,48]", 0.2) if args.dry else ((1024, 2048), "[512,1024]", 5.0)
    words = (f"data.workers={workers}", f"data.crop={crop}", f"data.batch_size={2 if args.dry else args.batch}")
    chosen = settings(settings_of(*words, *more, "trainer.max_steps=1"))
    data = Kept(size, 2 if args.dry else 16, length=4096)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    task, _ = parts.task_and_model(chosen.task, chosen.model, data.info)
    augment = parts.pipeline(chosen.transform["train"], data.info, "train", task.codec)
    loader = parts.training_loader(data, augment, task.codec, chosen.data, 0, device)
    begun, images = 0.0, 0
    for number, batch in enumerate(prefetch(loader.epoch(0), device)):
        moved = batch.to(device)
        if number < max(1, 2 * workers):  # processes start, and have two batches ready each
            wait()
            begun = time.perf_counter()
            continue
        images += len(moved.image)
        if time.perf_counter() - begun > seconds:
            break
    wait()
    taken = time.perf_counter() - begun
    loader.close()
    return f"{images / taken:.0f}"


def tables(args: argparse.Namespace) -> dict[str, dict[str, Callable[[], str]]]:
    """Return the rows of each table by their names, the tables by theirs in HEADINGS; a row is measured when called."""
    one = 1 if args.dry else None
    ways = list(WAYS)[: 2 * one if one else None]
    steps: dict[str, Callable[[], str]] = {
        f"{name} | {way}": partial(step, args, *words, *WAYS[way]) for way in ways for name, words in FAMILIES.items()
    }
    heads = {
        f"{batch} images of {side}, {classes} classes, stride {stride}": partial(
            head, batch, classes, side, stride, args.dry
        )
        for batch, classes, side, stride in HEADS[:one]
    }
    counts = (0, 2) if args.dry else (1, 2, 4, 8, 16)
    loaders: dict[str, Callable[[], str]] = {
        f"{count} loader processes{name}": partial(pipeline, args, count, *words)
        for name, words in PLACES.items()
        for count in counts
    }
    return {"pipeline": loaders, "steps": steps, "loops": dict(loops(args)), "heads": heads}


def open_rows(page: str) -> set[str]:
    """Return the names of the rows of a page in Markdown that have no figures."""
    found = set()
    for line in page.replace("`", "").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        names = [cell for cell in cells if cell]
        if line.startswith("|") and names and len(names) < len(cells) and not any(cells[len(names) :]):
            found.add(" | ".join(names))
    return found


def chosen(args: argparse.Namespace, page: str) -> list[tuple[str, str, Callable[[], str]]]:
    """Return table, name and row of each that is wanted, in the order to measure: those without figures first."""
    missing = open_rows(page)
    rows = [(table, name, row) for table, found in tables(args).items() for name, row in found.items()]
    wanted = [
        row
        for row in rows
        if (args.rows == "all" or row[1] in missing)
        and (not args.only or any(row[0] == table and text in row[1] for table, _, text in args.only))
    ]
    return sorted(wanted, key=lambda row: row[1] not in missing)


def measure(rows: Sequence[tuple[str, str, Callable[[], str]]], minutes: float) -> list[str]:
    """Print the rows below headings until the minutes are over; return the names of those that are left."""
    end, before, longest = time.monotonic() + 60 * minutes, "", dict[bool, float]()
    left = []
    for table, name, row in rows:
        slow = "compiled" in name or table == "heads"  # these wait for a compiler
        begun = time.monotonic()
        if left or begun + longest.get(slow, 60.0 * slow) > end:
            left.append(name)
            continue
        if table != before:
            print(f"\n{HEADINGS[table]}", flush=True)
        before = table
        print(f"| {name} | {row()} |", flush=True)
        longest[slow] = max(longest.get(slow, 0.0), time.monotonic() - begun)
    return left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--dry", action="store_true", help="tiny sizes on any device, a check that the script runs")
    parser.add_argument(
        "--rows", choices=("all", "missing"), default="all", help=f"missing: those without figures in {PAGE.name}"
    )
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no row that would end later")
    parser.add_argument("--only", action="append", default=[], metavar="TABLE[:TEXT]", help=ONLY)
    args = parser.parse_args()
    args.only = [word.partition(":") for word in args.only]
    if unknown := [table for table, _, _ in args.only if table not in HEADINGS]:
        parser.error(f"--only {unknown[0]}: no table; give {', '.join(HEADINGS)}")
    register()
    launcher.register()
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device"
    print(f"{card}, torch {torch.__version__}, batches of {args.batch}, 512 x 1024 (pose: 256 x 192)")
    rows = chosen(args, PAGE.read_text(encoding="utf-8"))
    if not rows:
        print("no row is wanted: choose others by --rows and --only")
    if left := measure(rows, args.minutes):
        print(f"\n{len(left)} rows are left, for lack of time: {'; '.join(left)}")


if __name__ == "__main__":
    main()
