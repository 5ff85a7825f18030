"""Measure memory and time of `densepred-predict tile=512` over heights of an image.

Each height has a process of its own: an untrained network of 8 classes predicts a drawn image, and labels and overlay
are written as the command writes them. Printed are the peak of memory beyond what the process held before (Linux), and
processor seconds. Images are uncompressed TIFF files in colour, 4096 pixels wide, unless `--kind` asks for PNG. With
`--instances` the connected components of seven classes are written too.

    python scripts/bench_tiles.py
    python scripts/bench_tiles.py --width 20000 --heights 20000 --overlap 0 --instances
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from densepred.codec.components import Components
from densepred.codec.semantic import Semantic
from densepred.contracts import Model
from densepred.engine.amp import Precision
from densepred.engine.sliding import Windows
from densepred.loss.ce import CrossEntropy
from densepred.metric.confusion import Confusion
from densepred.predictor import Predictor
from densepred.results import by_rows
from densepred.results.files import OverlaySettings, Results
from densepred.task import Task
from densepred.transform.pipeline import Pipeline
from densepred.types import Info

CLASSES = 8
MAX_PIXELS = 2**29
CPU = torch.device("cpu")


class Tiny(Model):
    """One convolution of stride 4."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, CLASSES, 4, stride=4)

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        return {"semantic": [self.layer(image)]}


def predictor(instances: bool = False) -> Predictor:
    torch.manual_seed(0)
    palette = tuple((30 * index, 255 - 30 * index, 128) for index in range(CLASSES))
    info = Info(classes=tuple(f"class {index}" for index in range(CLASSES)), palette=palette)
    codec = Components if instances else Semantic
    task = Task(info, codec, {"semantic": CrossEntropy()}, metrics={"confusion": Confusion})
    return Predictor(Tiny(), task, Pipeline([]), CPU, Precision("fp32", CPU))


def draw(path: Path, height: int, width: int) -> None:
    """Write an image of slow waves, so that its size on the disk does not decide."""
    down, across = np.arange(height)[:, None], np.arange(width)
    grey = (127 + 60 * np.sin(down / 211) + 60 * np.sin(across / 173).astype(np.float32)).astype(np.uint8)
    Image.merge("RGB", [Image.fromarray(grey + shift) for shift in (0, 4, 8)]).save(path)


def measure(path: Path, output: Path, overlap: float, instances: bool) -> str:
    """Return a line with the memory and the time of one prediction."""
    model, windows = predictor(instances), Windows(512, overlap, "gaussian")
    results = Results(output, model.info, OverlaySettings(probabilities=False))
    before = _held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    start = time.process_time()
    rows = model.rows(path, MAX_PIXELS)
    assert rows is not None
    if plan := model.blocks(rows.size):
        found = model.instances(rows, windows, plan)
        by_rows.write_instances(results, (Path("image"), 1, "image.tif"), rows, plan, found, 512)
    else:
        by_rows.write(results, Path("image"), rows, model.strips(rows, windows))
    seconds, peak = time.process_time() - start, _held("VmHWM")
    return (
        f"{rows.size[0]:6d} x {rows.size[1]:<6d} {peak - before:7.0f} MB more, {peak:5.0f} MB in all {seconds:7.1f} s"
    )


def _held(what: str) -> float:
    """Return the memory of this process in MB: now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heights", type=int, nargs="+", default=[2048, 4096, 8192, 16384])
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--overlap", type=float, default=0.5)
    parser.add_argument("--kind", choices=("tif", "png"), default="tif")
    parser.add_argument("--instances", action="store_true")
    parser.add_argument("--image", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if args.image:
            print(measure(args.image, Path(folder), args.overlap, args.instances), flush=True)
            return
        for height in args.heights:
            image = Path(folder, f"image.{args.kind}")
            draw(image, height, args.width)
            words = ["--image", str(image), "--overlap", str(args.overlap), *(["--instances"] * args.instances)]
            subprocess.run([sys.executable, sys.argv[0], *words], check=True)


if __name__ == "__main__":
    main()
