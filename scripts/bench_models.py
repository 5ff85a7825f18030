"""Train the lecture's segmentation models on CamVid with equal budgets: a check that each learns, not a ranking.

Each has images of 180 x 240, one thread, an equal number of minutes and random initial weights; two run at the same
time. Prints a table in Markdown.

    python scripts/bench_models.py --data ../shared/data/camvid --minutes 12
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

MODELS = {
    "DeepLabV3, ResNet-50, output stride 16": ("model=deeplabv3",),
    "HRNet-W18-small": ("model=hrnet", "encoder=hrnet_w18_small"),
    "FCN-8s, VGG-16 with BatchNorm, half as wide": ("model=fcn", "encoder.width=0.5"),
    "SegNet, VGG-16 with BatchNorm, half as wide": ("model=segnet", "encoder.width=0.5"),
}


def words(args: argparse.Namespace, model: tuple[str, ...]) -> list[str]:
    return [
        *model,
        "dataset=camvid",
        f"dataset.root={args.data}",
        "transform=resize",
        "data.crop=[180,240]",
        "data.batch_size=4",
        "data.workers=0",
        "loss=ce_dice",
        "optimizer.lr=0.0005",
        "scheduler.warmup=20",
        f"trainer.max_minutes={args.minutes}",
        "trainer.ema=0.98",
        "trainer.valid_every=1000",
        "trainer.pictures=2",
        "trainer.threads=1",
    ]


def train(args: argparse.Namespace, number: int, model: tuple[str, ...]) -> dict[str, Any]:
    folder = args.output / str(number)
    command = [sys.executable, "-m", "densepred.train", *words(args, model), f"hydra.run.dir={folder}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    newest = max(args.output.glob(f"{number}*"), key=lambda path: path.stat().st_mtime)
    return json.loads((newest / "summary.json").read_text(encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the camvid folder")
    parser.add_argument("--output", type=Path, default=Path("runs/bench_models"))
    parser.add_argument("--minutes", type=float, default=12.0, help="duration of each run")
    parser.add_argument("--at-once", type=int, default=2)
    args = parser.parse_args()
    with ThreadPoolExecutor(args.at_once) as pool:
        found = list(pool.map(lambda pair: train(args, *pair), enumerate(MODELS.values())))
    print("| model | parameters | steps | mIoU | pixel accuracy |\n|---|---|---|---|---|")
    for name, summary in zip(MODELS, found, strict=True):
        last, size = summary["last"], summary["parameters"] / 1e6
        print(f"| {name} | {size:.1f} M | {last['step']} | {last['miou']:.3f} | {last['pixel_accuracy']:.3f} |")
    for model in MODELS.values():
        print(shlex.join(["densepred-train", *words(args, model)]))


if __name__ == "__main__":
    main()
