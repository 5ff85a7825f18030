"""Measure how cost grows with pixels, classes, images and instances, and write docs/growth.md with its pictures.

One thread; processor time, the median of several rounds in which all sizes take turns.

    python scripts/bench_growth.py
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import bench_instances
import numpy as np
import torch
from alternate import medians
from bench_predict import predictor
from PIL import Image

from densepred.dataset.folder import Folder
from densepred.dataset.shapes import Shapes
from densepred.loss.ce import CrossEntropy
from densepred.ops.loss import banded
from densepred.reporting import svg

DOCS = Path(__file__).resolve().parents[1] / "docs"
STYLE = "<style>text {font: 13px sans-serif; fill: #444} line {stroke: #bbb}</style>"
"""The style that the pages of reports give to these charts, for a file of its own."""

PAGE = """# Growth of cost

How the cost of a step of work grows with its size. Points are measured, and a line is fitted to them by least squares.
R² is the share of the variance that the line explains. One thread works, and processor time counts, which depends on
the machine. `python scripts/bench_growth.py` writes this page and its pictures.
"""


class Sweep(NamedTuple):
    """A measure of size with its unit, the work that is timed, and the same for each size."""

    title: str
    unit: str
    one: str
    work: str
    acts: Mapping[float, Callable[[], object]]


def pixels() -> Sweep:
    model = predictor(Shapes("train", (64, 64), {"train": 1, "valid": 1, "test": 1}).info)
    sides = (256, 384, 512, 640)
    images = {side**2 / 1e6: torch.randint(0, 256, (3, side, side), dtype=torch.uint8) for side in sides}
    acts = {size: lambda image=image: model.together([image]) for size, image in images.items()}
    return Sweep(
        "Pixels",
        "million pixels",
        "million pixels",
        "Prediction of one image by a U-Net of widths 12 to 96, in memory",
        acts,
    )


def classes() -> Sweep:
    loss, target = CrossEntropy(), torch.zeros(1, 512, 512, dtype=torch.uint8)

    def act(logits: torch.Tensor) -> None:
        loss.value(banded.sums(loss, logits, target)).backward()

    counts = (20, 40, 80, 160)
    logits = {count: torch.randn(1, count, 128, 128, requires_grad=True) for count in counts}
    acts = {float(count): lambda given=given: act(given) for count, given in logits.items()}
    work = "Cross-entropy and its gradient, logits of stride 4 and labels of 512 x 512"
    return Sweep("Classes", "classes", "class", work, acts)


def images(folder: Path) -> Sweep:
    counts = (50, 100, 150, 200)
    data = Shapes("train", (96, 128), {"train": counts[-1], "valid": 1, "test": 1})
    for index in range(counts[-1]):
        sample = data[index]
        for count in counts:
            if index < count:
                save(folder / str(count), index, sample.image, sample.truth.need("semantic"))

    def act(count: int) -> None:
        dataset = Folder(root=str(folder / str(count)), split="train")
        for index in range(len(dataset)):
            _ = dataset[index]

    acts = {float(count): lambda count=count: act(count) for count in counts}
    return Sweep(
        "Images", "images", "image", "Opening a folder of PNG files of 96 x 128 with masks, and reading all", acts
    )


def save(root: Path, index: int, image: torch.Tensor, labels: torch.Tensor) -> None:
    for kind, pixels in (("images", image.permute(1, 2, 0).contiguous()), ("masks", labels)):
        path = root / kind / "train" / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.numpy()).save(path)


def instances() -> Sweep:
    counts = (100, 400, 700, 1000)
    stages = {count: bench_instances.stages(bench_instances.scene(count, 600)) for count in counts}
    names = ("panoptic.decode", "segments", "masks", "PanopticQuality")

    def act(count: int) -> None:
        for name in names:
            stages[count][name]()

    acts = {float(count): lambda count=count: act(count) for count in counts}
    work = "Panoptic targets, decoding, COCO results and panoptic quality of one image of 600 x 600"
    return Sweep("Instances", "instances", "instance", work, acts)


def section(sweep: Sweep, rounds: int) -> str:
    """Measure a sweep, draw its picture, and return its part of the page."""
    seconds = medians({str(size): act for size, act in sweep.acts.items()}, rounds)
    points = [(size, 1000 * seconds[str(size)]) for size in sweep.acts]
    slope, start, explained = fitted(points)
    line = [(x, start + slope * x) for x in (0.0, points[-1][0])]
    title = f"{sweep.work}: milliseconds by {sweep.unit}"
    name = f"growth_{sweep.title.lower()}.svg"
    (DOCS / "pictures" / name).write_text(
        picture({"measured": points, "line": line}, title, sweep.unit), encoding="utf-8"
    )
    rows = "\n".join(f"| {rounded(size)} | {rounded(value)} ms |" for size, value in points)
    return f"""
## {sweep.title}

{sweep.work}: {rounded(slope)} ms per {sweep.one}, beside {rounded(start)} ms; R² {explained:.3f}.

![{title}](pictures/{name})

| {sweep.unit} | processor time |
|---|---|
{rows}
"""


def rounded(value: float) -> str:
    """Return three digits, or all of a whole number."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def fitted(points: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Return slope, value at 0 and R² of the line of least squares."""
    x, y = np.array(points).T
    slope, start = np.polyfit(x, y, 1)
    left = y - (start + slope * x)
    return float(slope), float(start), float(1 - left.var() / y.var())


def picture(series: Mapping[str, list[tuple[float, float]]], title: str, unit: str) -> str:
    """Return a chart as a file of its own."""
    chart = re.search(r"<svg.*</svg>", svg.lines(series, title, unit, "milliseconds"), re.DOTALL)
    assert chart is not None
    return (
        chart[0]
        .replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        .replace("<title>", f"{STYLE}<title>", 1)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        sweeps = [pixels(), classes(), images(Path(folder)), instances()]
        parts = [section(sweep, args.rounds) for sweep in sweeps]
    (DOCS / "growth.md").write_text(PAGE + "".join(parts), encoding="utf-8")
    print(f"written: {DOCS / 'growth.md'}")


if __name__ == "__main__":
    main()
