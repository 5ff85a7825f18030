"""Measure gradient checkpointing: peak memory and time of a training step of whole models, with it and without.

    python scripts/bench_checkpointing.py [--size 256] [--batch 4]

Each side is a process of its own, since memory that a process has had stays with it. Memory is the peak during
steps above what stood before the first: resident memory on a CPU, allocated memory on a CUDA device. Time is the
median of the steps after the first: processor time of one thread on a CPU. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir

from densepred import distributed
from densepred.cli import command
from densepred.cli.compose import complete, register, settings
from densepred.jobs import parts, placement
from densepred.sweep import launcher
from densepred.types import Info

MODELS = {
    "U-Net": ("model=unet",),
    "U-Net, ResNet-34": ("model=unet", "encoder=resnet34"),
    "FPN, ResNet-50": ("model=fpn", "encoder=resnet50"),
    "DeepLabV3, ResNet-50": ("model=deeplabv3_resnet50",),
    "HRNet-W18": ("model=hrnet",),
    "SegFormer, MiT-B2": ("model=segformer", "encoder=mit_b2"),
    "FPN, ConvNeXt-Tiny of timm": ("model=fpn", "encoder=timm", "encoder.name=convnext_tiny"),
}
STEPS = 4
KILOBYTE = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="side of the images in pixels")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--side", help=argparse.SUPPRESS)  # a model, and whether it has checkpointing, as JSON
    args = parser.parse_args()
    if args.side:
        name, checkpointing = json.loads(args.side)
        print(json.dumps(side(name, checkpointing, args.batch, args.size)))
        return
    print("| model | MB without | MB with | memory with / without | time with / without |\n|---|---|---|---|---|")
    for name in MODELS:
        (before, slow), (after, slower) = (measured(name, on, args) for on in (False, True))
        print(f"| {name} | {before:.0f} | {after:.0f} | {after / before:.2f} | {slower / slow:.2f} |", flush=True)


def measured(name: str, checkpointing: bool, args: argparse.Namespace) -> tuple[float, float]:
    """Return the peak memory in MB and the seconds of a step, from a process of its own."""
    words = ["--size", str(args.size), "--batch", str(args.batch), "--side", json.dumps([name, checkpointing])]
    call = [sys.executable, __file__, *words]
    # Memory that is freed goes back to the system at once, so that the resident memory is what is in use.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
    found = subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    megabytes, seconds = json.loads(found.stdout.splitlines()[-1])
    return megabytes, seconds


def side(name: str, checkpointing: bool, batch: int, size: int) -> tuple[float, float]:
    words = [*MODELS[name], f"trainer.checkpointing={str(checkpointing).lower()}", "trainer.deterministic=false"]
    register()
    launcher.register()
    with initialize_config_dir(str(command.configs()), version_base="1.3"):
        config = compose("train", overrides=words)
    complete(config, words)
    chosen = settings(config)
    info = Info(classes=tuple(f"class{i}" for i in range(8)))
    task, model = parts.task_and_model(chosen.task, chosen.model, info)
    device = distributed.device()
    model = placement.placed(model, chosen, device)
    image = torch.rand(batch, 3, size, size, device=device)
    targets = {"semantic": torch.randint(8, (batch, size, size), device=device, dtype=torch.uint8)}
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    before, seconds = memory(device), []
    for _ in range(STEPS):
        began = clock()
        task.loss(model(image), targets, model.align_corners)["total"].backward()
        model.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(clock() - began)
    return (peak(device) - before) / 1e6, statistics.median(seconds[1:])


def memory(device: torch.device) -> int:
    """Return the bytes in use."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak(device: torch.device) -> int:
    """Return the most bytes that were in use at any time."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE


if __name__ == "__main__":
    main()
