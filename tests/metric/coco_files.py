"""Drawn ground truth and predictions, written as COCO's files, and the scores of pycocotools for these files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from densepred.results import coco
from densepred.results.coco import Categories
from densepred.types import Annotation, Info

INFO = Info(classes=("background", "car", "dog", "cat"), things=(1, 2, 3), provides=("boxes", "masks"))
SIZE = (150, 130)  # small, medium and large objects fit
Drawn = list[tuple[Annotation, Annotation]]

BOXES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar1", "ar10", "ar", "ar_small", "ar_medium")
BOXES = (*BOXES, "ar_large")
POSES = ("ap", "ap50", "ap75", "ap_medium", "ap_large", "ar", "ar50", "ar75", "ar_medium", "ar_large")
"""Our names of COCOeval's numbers, in its order."""


def draw(seed: int, images: int = 4, most: int = 12) -> Drawn:
    """Pairs of predictions and truths with overlapping masks. Scores differ from one another by 0.000001 or more."""
    random = np.random.default_rng(seed)
    scores = iter(random.permutation(10000)[:5000] / 10000)
    return [_image(random, scores, int(random.integers(0, most))) for _ in range(images)]


TIED: dict[str, tuple[list[int], list[str]]] = {
    "ids": ([4, 1, 30, 200, 7, 9], list("abcdef")),
    "numbers": ([12, 30, 1, 5, 100, 4], [f"x/{id:012d}" for id in (12, 30, 1, 5, 100, 4)]),
    "paths": ([4, 2, 6, 3, 5, 1], ["b/b", "a-c", "e", "b/a", "b-a", "a/c"]),
}
"""Ids that the dataset gives, that are read from names, or that count sorted paths; and the names."""


def tie(pairs: Drawn, named: str) -> list[int]:
    """Leave three scores in all and name six images; return their ids, which are those of `densepred-predict`."""
    ids, names = TIED[named]
    for (prediction, truth), id, name in zip(pairs, ids, names, strict=True):
        assert prediction.scores is not None
        prediction.scores = (prediction.scores * 2).round() / 2
        truth.source = (id if named == "ids" else None, name)
    return ids


def _image(random: np.random.Generator, scores: Any, count: int) -> tuple[Annotation, Annotation]:
    corners, categories = _corners(random, count), random.choice(INFO.things, count)
    masks = [_encode(corner, random) for corner in corners]
    truth = Annotation(
        SIZE,
        categories=torch.tensor(categories, dtype=torch.int64),
        boxes=torch.tensor(corners, dtype=torch.float32).view(-1, 4) - 0.5,
        areas=torch.tensor([float(rle.area(m)) for m in masks]),
        crowd=torch.tensor(random.random(count) < 0.15, dtype=torch.bool),
        masks=masks,
    )
    moved = corners + random.integers(-8, 9, corners.shape) / 8
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    kept = np.flatnonzero(random.random(count) < 0.85)
    more = int(random.integers(0, 4))
    guessed = np.concatenate((moved[kept], _corners(random, more)))
    kinds = np.concatenate((categories[kept], random.choice(INFO.things, more)))
    kinds = np.where(random.random(len(kinds)) < 0.1, random.choice(INFO.things, len(kinds)), kinds)
    prediction = Annotation(
        SIZE,
        categories=torch.tensor(kinds, dtype=torch.int64),
        scores=torch.tensor([next(scores) for _ in kinds], dtype=torch.float32),
        boxes=torch.tensor(guessed, dtype=torch.float32).view(-1, 4) - 0.5,
        masks=[_encode(corner, random) for corner in guessed],
    )
    return prediction, truth


def _corners(random: np.random.Generator, count: int) -> np.ndarray:
    """Boxes on a grid of an eighth of a pixel, from the corner of the image."""
    long = random.choice([8, 30, 60, 120], (count, 2)) * random.uniform(0.6, 1, (count, 2))
    start = random.uniform(0, 1, (count, 2)) * (np.array(SIZE[::-1]) - long)
    return np.round(np.concatenate((start, start + long), 1) * 8) / 8


def _encode(corners: np.ndarray, random: np.random.Generator) -> dict[str, Any]:
    """A box with a bite out of it."""
    grid = np.zeros(SIZE, np.uint8)
    x0, y0, x1, y1 = corners.round().astype(int).clip(0)
    grid[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] = 1
    if random.random() < 0.5:
        grid[y0 : (y0 + y1) // 2, x0 : (x0 + x1) // 2] = 0
    return rle.encode(np.asfortranarray(grid))


def write(
    folder: Path, pairs: Drawn, kind: str, info: Info, ids: Sequence[int] | None = None
) -> tuple[Path, list[dict[str, Any]]]:
    """Write ground truth as a COCO file by independent code, and predictions as `densepred-predict` does."""
    categories, images, annotations, results = Categories.counted(info), [], [], []
    for image, (prediction, truth) in zip(ids or range(7, 7 + len(pairs)), pairs, strict=True):
        images.append({"id": image, "height": truth.size[0], "width": truth.size[1]})
        annotations += [_entry(truth, i, image, categories) for i in range(len(truth.categories))]
        writer = {"bbox": coco.boxes, "segm": coco.instances, "keypoints": coco.keypoints}[kind]
        results += writer(prediction, info, categories, image)
    for number, entry in enumerate(annotations, 1):
        entry["id"] = number
    path = folder / "truth.json"
    listed = categories.listed()
    path.write_text(json.dumps({"info": {}, "images": images, "annotations": annotations, "categories": listed}))
    return path, json.loads(json.dumps(results))


def _entry(truth: Annotation, i: int, image: int, categories: Categories) -> dict[str, Any]:
    x0, y0, x1, y1 = (value + 0.5 for value in truth.boxes[i].tolist())
    entry = {
        "image_id": image,
        "category_id": categories[int(truth.categories[i])],
        "iscrowd": int(truth.crowd[i]),
        "area": float(truth.areas[i]),
        "bbox": [x0, y0, x1 - x0, y1 - y0],
    }
    if truth.masks is not None:
        entry["segmentation"] = {"size": list(truth.size), "counts": truth.masks[i]["counts"].decode()}
    if truth.keypoints is not None:
        points = truth.keypoints[i]
        entry |= {"keypoints": points.flatten().tolist(), "num_keypoints": int((points[:, 2] > 0).sum())}
    return entry


def official(path: Path, results: list[dict[str, Any]], kind: str, info: Info) -> dict[str, float | None]:
    """COCOeval's own summary, and its precision of each class."""
    with redirect_stdout(None):
        truth = COCO(str(path))
        found = truth.loadRes(results) if results else _nothing(truth)
        decode_and_score = COCOeval(truth, found, kind)
        if kind == "keypoints":
            decode_and_score.params.kpt_oks_sigmas = np.array(info.sigmas)
        decode_and_score.evaluate()
        decode_and_score.accumulate()
        decode_and_score.summarize()
    expected = dict(zip(POSES if kind == "keypoints" else BOXES, decode_and_score.stats.tolist(), strict=True))
    precision = decode_and_score.eval["precision"][:, :, :, 0, -1]
    ids = Categories.counted(info)
    for c in info.things:
        of = precision[:, :, decode_and_score.params.catIds.index(ids[c])]
        expected[f"ap/{info.classes[c]}"] = of[of > -1].mean() if (of > -1).any() else -1
    return {name: None if value == -1 else float(value) for name, value in expected.items()}


def _nothing(truth: COCO) -> COCO:
    """loadRes cannot read an empty list."""
    found = COCO()
    found.dataset = {**truth.dataset, "annotations": []}
    found.createIndex()
    return found


def agree(found: Mapping[str, float | None], expected: Mapping[str, float | None], within: float = 1e-9) -> bool:
    """Return True if every expected score is found."""
    return all(
        (found[name] is None) if value is None else found[name] is not None and abs(found[name] - value) <= within
        for name, value in expected.items()
    )
