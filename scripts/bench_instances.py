"""Measure every stage of the work on one image with many instances: encode, decode, metrics, results and drawing.

Each stage has a process of its own, on one thread. Printed are processor seconds, and the peak of memory beyond the
state before the stage (Linux). To compare two versions, run the script from a checkout of each.

    python scripts/bench_instances.py
    python scripts/bench_instances.py --instances 900 --side 600 --stages draw_boxes draw_instances
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from densepred.codec.center_detection import CenterDetection
from densepred.codec.components import Components
from densepred.codec.fcos import FCOS
from densepred.codec.panoptic import Panoptic
from densepred.contracts import Codec, Metric
from densepred.draw import boxes as drawing
from densepred.draw import instances
from densepred.metric.box_ap import BoxAp
from densepred.metric.mask_ap import MaskAp
from densepred.metric.nuclei import Nuclei
from densepred.metric.panoptic_quality import PanopticQuality
from densepred.ops.boxes import from_ids
from densepred.ops.regions.border import border_weight
from densepred.results import coco
from densepred.types import Annotation, Frame, Info

INFO = Info(classes=("background", "cell"), things=(1,))


def scene(count: int, side: int) -> Annotation:
    """Draw `count` discs on a grid in a square image."""
    columns = int(count**0.5) or 1
    columns += columns**2 < count
    pitch = side / columns
    place = torch.arange(side)
    cell = (place / pitch).long().clamp(max=columns - 1)
    square = (place + 0.5 - (cell + 0.5) * pitch) ** 2
    ids = cell[:, None] * columns + cell + 1
    outside = (square[:, None] + square >= (0.4 * pitch) ** 2) | (ids > count)
    ids = ids.masked_fill(outside, 0).int()
    scores = torch.rand(count, generator=torch.Generator().manual_seed(0))
    kinds, labels = torch.ones(count, dtype=torch.long), (ids > 0).to(torch.uint8)
    return Annotation((side, side), semantic=labels, instances=ids, categories=kinds, scores=scores)


def stages(truth: Annotation) -> dict[str, Callable[[], object]]:
    """Return a function per stage."""
    count = truth.count
    boxed = replace(truth, boxes=from_ids.boxes(truth.need("instances"), count), instances=None, semantic=None)
    picture = torch.zeros(3, *truth.size, dtype=torch.uint8)
    limit = count + 1
    found: dict[str, Callable[[], object]] = {
        "border_weight": lambda: border_weight(truth.need("instances"), 10, 5),
        "segments": lambda: coco.segments(truth, INFO, coco.Categories.counted(INFO)),
        "masks": lambda: coco.instances(truth, INFO, coco.Categories.counted(INFO), 1),
        "draw_instances": lambda: instances.overlay(picture, truth, INFO),
        "draw_boxes": lambda: drawing.boxes(picture, boxed.need("boxes"), [(255, 0, 0)] * count, ["cell 0.97"] * count),
    }
    codecs: dict[str, tuple[Codec, Annotation]] = {
        "components": (Components(INFO), truth),
        "components_split": (Components(INFO, split="distance"), truth),
        "panoptic": (Panoptic(INFO, max_detections=limit), truth),
        "center_detection": (CenterDetection(INFO, max_detections=limit), boxed),
        "fcos": (FCOS(INFO, max_detections=limit), boxed),
    }
    for name, (codec, given) in codecs.items():
        found[f"{name}.encode"] = lambda codec=codec, given=given: codec.encode(given)
        found[f"{name}.decode"] = lambda codec=codec, given=given: decode(codec, given)
    for kind, given in ((MaskAp, truth), (BoxAp, boxed), (Nuclei, truth), (PanopticQuality, truth)):
        found[kind.__name__] = lambda kind=kind, given=given: scored(kind(INFO), given)
    return found


def decode(codec: Codec, truth: Annotation) -> object:
    """Encode, and decode the perfect outputs: both are measured."""
    targets: dict[str, Tensor] = {name: value[None] for name, value in codec.encode(truth).items()}
    return codec.decode(codec.perfect_outputs(targets), [Frame("image", truth.size)], False)


def scored(metric: Metric, truth: Annotation) -> dict[str, float | None]:
    metric.update([truth], [truth])
    return metric.compute()


def measure(stage: str, count: int, side: int) -> str:
    """Return a line with the seconds and the memory of one stage."""
    run = stages(scene(count, side))[stage]
    before = _held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    start = time.process_time()
    run()
    return f"{stage:<26} {time.process_time() - start:7.2f} s {_held('VmHWM') - before:7.0f} MB"


def _held(what: str) -> float:
    """Return the memory of this process in MB: now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=2500)
    parser.add_argument("--side", type=int, default=1000, help="height and width of the image")
    parser.add_argument("--stages", nargs="*", help="by default all")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.one:
        print(measure(args.one, args.instances, args.side))
        return
    size = ["--instances", str(args.instances), "--side", str(args.side)]
    for stage in args.stages or stages(scene(4, 64)):
        subprocess.run([sys.executable, sys.argv[0], *size, "--one", stage], check=True)


if __name__ == "__main__":
    main()
