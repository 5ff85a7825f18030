"""Read drawn JPEG files with the extra `jpeg`, without it, and by PIL into a tensor; processor time, one thread.

python scripts/bench_jpeg.py
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

from densepred.dataset import jpeg_file
from densepred.dataset.image import read_image
from densepred.dataset.shapes import Shapes

SIZE = (480, 640)


def draw(folder: Path, count: int) -> list[Path]:
    """Write drawn scenes with the noise of a camera."""
    data = Shapes("train", SIZE, {"train": count, "valid": 1, "test": 1}, objects=(20, 40))
    generator, files = np.random.default_rng(0), [folder / f"{index:03d}.jpg" for index in range(count)]
    for index, file in enumerate(files):
        pixels = data[index].image.permute(1, 2, 0).numpy().astype(float) + generator.normal(0, 8, (*SIZE, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, quality=90)
    return files


def ours(files: list[Path], installed: bool) -> Callable[[], None]:
    """Return the reading of all files, with or without simplejpeg."""

    def read() -> None:
        setattr(jpeg_file, "is_installed", lambda: installed)  # noqa: B010 - checkers of types mind the other form
        for file in files:
            assert read_image(file).shape == (3, *SIZE)

    return read


def theirs(files: list[Path]) -> Callable[[], None]:
    """Return the same by PIL, numpy and torch."""

    def read() -> None:
        for file in files:
            with Image.open(file) as image:
                pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()
            assert pixels.shape == (3, *SIZE)

    return read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        files = draw(Path(name), args.images)
        sides = {"simplejpeg": ours(files, True), "Pillow": ours(files, False), "PIL": theirs(files)}
        seconds = medians(sides, args.rounds)
    for side, value in seconds.items():
        print(f"{side}: {1000 * value / args.images:.2f} ms of processor time per image")
    for other in ("Pillow", "PIL"):
        report(f"reading of 480x640 JPEG, simplejpeg / {other}", seconds["simplejpeg"], seconds[other])


if __name__ == "__main__":
    main()
