"""Measure how long listing, naming and numbering the images of a folder takes: it should grow with their number.

python scripts/bench_listing.py 1000 50000
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from densepred import predict
from densepred.dataset.file_names import FileNames
from densepred.dataset.pairs import pair_folders
from densepred.results import inputs
from densepred.results.ids import Known, image_ids

PER_FOLDER = 1000
T = TypeVar("T")


def main() -> None:
    print(
        "| images | list | name | number | number by a COCO file | pair, as training does |\n|---|---|---|---|---|---|"
    )
    for count in map(int, sys.argv[1:] or ["1000", "50000"]):
        with tempfile.TemporaryDirectory() as name:
            print(f"| {count} | {' | '.join(f'{seconds:.2f} s' for seconds in measure(Path(name), count))} |")


def measure(folder: Path, count: int) -> list[float]:
    """Return the seconds of each step for so many empty files."""
    for number in range(count):
        path = folder / f"{number // PER_FOLDER}/{number}_x.png"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    files, listing = timed(lambda: inputs.images(folder))
    _, naming = timed(lambda: predict.destinations(files, folder, folder / "out"))
    _, numbering = timed(lambda: image_ids(files, folder))
    names = [(f"images/{file.relative_to(folder)}", number) for number, file in enumerate(files)]
    _, by_file = timed(lambda: image_ids(files, folder, Known(FileNames(names), [], "truth.json")))
    _, pairing = timed(lambda: pair_folders(folder, folder))
    return [listing, naming, numbering, by_file, pairing]


def timed(function: Callable[[], T]) -> tuple[T, float]:
    begun = time.perf_counter()
    found = function()
    return found, time.perf_counter() - begun


if __name__ == "__main__":
    main()
