"""Time of COCO's average precision, counted by hotcoco, by that of pycocotools, with the same arrays.

Drawn objects: half of the predictions near an object, with scores that tie. Processor time of everything from the
annotations in memory to the curves, in turn in one process, medians. `--val` draws 5000 images
of 36,781 objects and 80 classes, as in COCO's validation set, with 100 predictions each. It prints our seconds alone.

    python scripts/bench_coco.py --rounds 3
    python scripts/bench_coco.py --val
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
from alternate import medians, report
from pycocotools import mask as rle

from densepred.ops.score import coco_engine
from densepred.ops.score.average_precision import Curves, Objects, Pair, curves

SIZE, JOINTS = (480, 640), 17
KINDS = ("bbox", "segm", "keypoints")


def drawn(random: np.random.Generator, kind: str, boxes: np.ndarray, classes: np.ndarray) -> Objects:
    """Draw masks or keypoints in these boxes, (N, 4) x, y, width, height."""
    masks: list[Any] = []
    if kind == "segm":
        corners = [[x, y, x + w, y, x + 0.8 * w, y + h, x, y + 0.7 * h] for x, y, w, h in boxes.tolist()]
        masks = [rle.frPyObjects([points], *SIZE)[0]["counts"] for points in corners]
    points = boxes[:, None, :2] + np.linspace(0.1, 0.9, JOINTS)[:, None] * boxes[:, None, 2:]
    shown = random.choice([1, 2], (len(boxes), JOINTS, 1))
    return Objects(
        SIZE,
        classes,
        boxes[:, 2] * boxes[:, 3],
        boxes,
        random.integers(0, 1000, len(boxes)) / 1000,
        np.zeros(len(boxes), bool),
        tuple(masks),
        np.concatenate((points, shown), -1) if kind == "keypoints" else None,
    )


def dataset(kind: str, images: int, objects: float, found: int, classes: int) -> list[Pair]:
    """Draw `objects` per image on average, and `found` predictions per image."""
    random = np.random.default_rng(0)
    pairs = []
    for _ in range(images):
        boxes = scattered(random, int(random.poisson(objects)))
        kinds = random.integers(1, classes + 1, len(boxes))
        near = np.resize(np.arange(len(boxes)), found // 2 if len(boxes) else 0)
        moved = boxes[near] + random.normal(0, 3, (len(near), 4))
        moved[:, 2:] = moved[:, 2:].clip(2)
        stray = scattered(random, found - len(near))
        guessed = np.concatenate((kinds[near], random.integers(1, classes + 1, len(stray))))
        result = drawn(random, kind, np.concatenate((moved, stray)), guessed)
        pairs.append((drawn(random, kind, boxes, kinds), result))
    return pairs


def scattered(random: np.random.Generator, count: int) -> np.ndarray:
    sides = random.choice([12, 40, 120, 240], (count, 2)) * random.uniform(0.6, 1, (count, 2))
    return np.concatenate((random.uniform(0, 1, (count, 2)) * (np.array(SIZE[::-1]) - sides), sides), 1)


def counted(engine: str, pairs: list[Pair], kind: str, classes: int) -> Curves:
    coco_engine.chosen = getattr(coco_engine, engine)
    most = (20,) if kind == "keypoints" else (1, 10, 100)
    return curves(pairs, kind, range(1, classes + 1), most, [0.05] * JOINTS if kind == "keypoints" else None)  # pyright: ignore[reportArgumentType]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--val", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.val:
        pairs = dataset("bbox", 5000, 36781 / 5000, 100, 80)
        began = time.process_time()
        counted("hotcoco", pairs, "bbox", 80)
        print(f"boxes of the size of COCO's validation set: {time.process_time() - began:.1f} s of processor time")
        return
    classes = 8
    for kind in KINDS:
        pairs = dataset(kind, args.images, 7, 27, classes)
        ours, oracle = (counted(name, pairs, kind, classes) for name in ("hotcoco", "pycocotools"))
        assert np.array_equal(ours.precision, oracle.precision)
        assert np.array_equal(ours.recall, oracle.recall)
        names = ("hotcoco", "pycocotools")
        sides = {name: lambda n=name, p=pairs, k=kind: counted(n, p, k, classes) for name in names}
        seconds = medians(sides, args.rounds)
        report(f"average precision {kind} / pycocotools", seconds["hotcoco"], seconds["pycocotools"])


if __name__ == "__main__":
    main()
