"""Read training samples in turn with each `data.cache`, and by PIL and torchvision's transforms v2: 512 x 1024 PNG.

Images and masks are cut to 256 x 512 and mirrored at random. One process and one thread read them; processor time
counts. "decoding" decodes image and mask with Pillow and does nothing else: less is not possible without a cache.
Filling the cache takes one more pass, which is not counted.

    python scripts/bench_cache.py
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from alternate import medians, report
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from densepred.codec.semantic import Semantic
from densepred.contracts import Dataset
from densepred.dataset.folder import Folder
from densepred.dataset.shapes import Shapes
from densepred.loader import cache
from densepred.loader.samples import TrainingSamples
from densepred.transform.crop import Crop
from densepred.transform.flip import Flip
from densepred.transform.pipeline import Pipeline

SIZE, CROP = (512, 1024), (256, 512)


def draw(root: Path, count: int) -> None:
    """Write drawn scenes and their masks."""
    data = Shapes("train", SIZE, {"train": count, "valid": 1, "test": 1}, objects=(20, 40))
    for index in range(count):
        sample = data[index]
        pixels = {"images": sample.image.permute(1, 2, 0).contiguous(), "masks": sample.truth.need("semantic")}
        for kind, values in pixels.items():
            (root / kind / "train").mkdir(parents=True, exist_ok=True)
            Image.fromarray(values.numpy()).save(root / kind / "train" / f"{index:03d}.png")


def ours(dataset: Dataset) -> Callable[[], None]:
    """Return one epoch of crops."""
    augment = Pipeline([Crop(CROP), Flip(0.5)])
    samples = TrainingSamples(dataset, augment, Semantic(dataset.info), seed=0, skip_bad=False)

    def epoch() -> None:
        for index in range(len(samples)):
            item = samples[(0, index)]
            assert item.image is not None, item.error
            assert item.image.shape[1:] == CROP

    return epoch


def theirs(root: Path) -> Callable[[], None]:
    """Return the same by PIL and torchvision."""
    files = sorted((root / "images" / "train").iterdir())
    augment = v2.Compose([v2.ToImage(), v2.RandomCrop(CROP), v2.RandomHorizontalFlip()])

    def epoch() -> None:
        for file in files:
            with Image.open(file) as image, Image.open(root / "masks" / "train" / file.name) as mask:
                labels = tv_tensors.Mask(torch.from_numpy(np.array(mask)))
                pixels, _ = augment(image.convert("RGB"), labels)
            assert pixels.shape[1:] == CROP

    return epoch


def decoding(root: Path) -> Callable[[], None]:
    """Return the decoding of all files alone."""
    files = sorted(root.rglob("*.png"))

    def epoch() -> None:
        for file in files:
            with Image.open(file) as image:
                image.load()

    return epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        draw(root, args.images)
        dataset = Folder(root=str(root), split="train")
        sides = {
            "none": ours(dataset),
            "ram": ours(cache.cached(dataset, "ram", 0)),
            "disk": ours(cache.cached(dataset, "disk", 0)),
            "torchvision": theirs(root),
            "decoding": decoding(root),
        }
        seconds = medians(sides, args.rounds)
    for side, value in seconds.items():
        print(f"{side}: {1000 * value / args.images:.2f} ms of processor time per sample")
    for side in ("none", "ram", "disk"):
        for other in ("torchvision", "decoding"):
            report(f"samples of 512x1024 PNG, cache {side} / {other}", seconds[side], seconds[other])


if __name__ == "__main__":
    main()
