"""Predictions of an image in COCO's formats: segments, run-length masks, boxes and keypoints, as plain JSON.

Boxes are converted by `ops/boxes/coco.py`. Keypoints are not: in COCO too, the center of a pixel is an integer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pycocotools import mask as rle

from densepred.dataset.coco import Id
from densepred.draw.instances import Colour, shades
from densepred.errors import UserError
from densepred.ops.boxes import from_ids
from densepred.ops.boxes.coco import to_coco
from densepred.ops.regions.run_lengths import compressed_masks
from densepred.types import VOID, Annotation, Info

Json = dict[str, Any]
BACKGROUND = ("background", "bg")


@dataclass(frozen=True, slots=True)
class Categories:
    """Ids of the classes in JSON files: by default from 1, or from 0 if the first class is background."""

    info: Info
    ids: tuple[Id, ...]

    @classmethod
    def counted(cls, info: Info) -> Categories:
        names = info.classes or ("object",)
        first = 0 if names[0].lower() in BACKGROUND else 1
        return cls(info, tuple(range(first, first + len(names))))

    @classmethod
    def named(cls, info: Info, listed: Sequence[Mapping[str, Any]], source: str) -> Categories:
        """Take the ids from `listed`, the categories of a COCO file. Raises UserError if a class is missing."""
        known: dict[str, Any] = {str(entry.get("name")): entry.get("id") for entry in listed}
        if len(known) == 1 and len(info.classes) <= 1:
            return cls(info, tuple(value if isinstance(value, int | str) else 0 for value in known.values()))
        wanted = [name for i, name in enumerate(info.classes) if i or name.lower() not in BACKGROUND]
        if missing := [name for name in wanted if not isinstance(known.get(name), int | str)]:
            raise UserError(
                f"coco_ids={source}: no category is called {', '.join(missing[:5])}; give the file with the "
                f"categories of {', '.join(wanted[:5])}{', ...' if len(wanted) > 5 else ''}"
            )
        # A background that the file does not list gets an id that no category of the file has
        ids = {name: known[name] for name in wanted}
        taken = {value for value in known.values() if isinstance(value, int)}
        own = known.get(info.classes[0]) if info.classes else None
        free = own if isinstance(own, int | str) else 0 if 0 not in taken else max(taken) + 1
        return cls(info, tuple(ids.get(name, free) for name in info.classes))

    def __getitem__(self, category: int) -> Id:
        return self.ids[category] if 0 <= category < len(self.ids) else category

    def listed(self) -> list[Json]:
        """Return the categories in the form of a COCO file."""
        info = self.info
        entries: list[Json] = []
        for i, (name, number) in enumerate(zip(info.classes or ("object",), self.ids, strict=True)):
            entry: Json = {"id": number, "name": name, "isthing": int(i in info.things or not info.things)}
            if i < len(info.palette):
                entry["color"] = list(info.palette[i])
            if info.keypoints:
                entry |= {"keypoints": list(info.keypoints), "skeleton": [[a + 1, b + 1] for a, b in info.limbs]}
            entries.append(entry)
        return entries


def segments(found: Annotation, info: Info, categories: Categories) -> tuple[np.ndarray, list[Json]]:
    """Return the panoptic map (H, W, 3) uint8 and its segments. The id of a segment is R + 256 G + 65536 B.

    Segments are the instances, and per stuff class its pixels outside instances. Other pixels are void: id 0, black.
    """
    ids = found.need("instances").cpu().numpy().astype(np.int64)
    classes = found.class_ids(info).tolist()
    count = len(classes)
    stuff = stuff_of(ids, found.need("semantic").cpu().numpy(), info)
    present = [int(label) for label in np.unique(stuff) if label != VOID]
    regions = numbered(ids, stuff, count, present)
    areas = np.bincount(regions.reshape(-1), minlength=count + len(present) + 1)[1:]
    edges = from_ids.boxes(torch.from_numpy(regions), len(areas)).numpy()
    table, entries = described(found, info, categories, present, areas, edges)
    return table[regions], entries


def stuff_of(ids: np.ndarray, labels: np.ndarray, info: Info) -> np.ndarray:
    """Return the class of each pixel of stuff outside instances, VOID elsewhere, (H, W) uint8."""
    return np.where((ids == 0) & (labels != VOID) & ~np.isin(labels, info.things), labels, np.uint8(VOID))


def numbered(ids: np.ndarray, stuff: np.ndarray, count: int, present: Sequence[int]) -> np.ndarray:
    """Return the number of each pixel's segment: those of `count` instances, then those of the classes of stuff."""
    number = np.zeros(VOID + 1, np.int64)
    number[list(present)] = np.arange(count + 1, count + 1 + len(present))
    return np.where(ids > 0, ids, number[stuff])


def described(
    found: Annotation,
    info: Info,
    categories: Categories,
    present: Sequence[int],
    areas: np.ndarray,
    edges: np.ndarray,
) -> tuple[np.ndarray, list[Json]]:
    """Return the colour of each segment, (S + 1, 3) uint8, and the entries of those with pixels.

    areas, edges: (S,) and (S, 4) of the segments, in the order of `numbered`
    """
    classes = found.class_ids(info).tolist()
    count = len(classes)
    colours = [*shades(found, info), *(info.palette[c] if c < len(info.palette) else (c, c, c) for c in present)]
    table, used = np.zeros((len(areas) + 1, 3), np.uint8), {0}
    entries = []
    for i, (area, category) in enumerate(zip(areas.tolist(), [*classes, *present], strict=True)):
        if not area:
            continue
        code = _free(colours[i], used)
        table[i + 1] = code % 256, code // 256 % 256, code // 65536
        entry = {"id": code, "category_id": categories[category], "isthing": int(i < count), "iscrowd": 0}
        box = [round(v) for v in to_coco(*edges[i].tolist())]
        entries.append(entry | {"area": area, "bbox": box})
    return table, entries


def instances(found: Annotation, info: Info, categories: Categories, image: Id) -> list[Json]:
    """Return one result with a run-length mask per instance that has a pixel.

    Results have no box: `loadRes` would use the area of the box, not of the mask, to separate small from large.
    """
    masks: list[Any] | None = found.masks
    if masks is None:
        masks = compressed_masks(found.need("instances").cpu().numpy(), found.count)
    results = []
    for mask, common in zip(masks, _common(found, info, categories, image), strict=True):
        if not int(rle.area(mask)):  # pyrefly: ignore[no-matching-overload], its stubs forget masks in bytes
            continue
        counts = mask["counts"]
        text = counts.decode("ascii") if isinstance(counts, bytes) else counts
        results.append(common | {"segmentation": {"size": [*found.size], "counts": text}})
    return results


def boxes(found: Annotation, info: Info, categories: Categories, image: Id) -> list[Json]:
    """Return one result with a box per instance."""
    corners = zip(found.need("boxes").tolist(), _common(found, info, categories, image), strict=True)
    return [common | {"bbox": _box(*row)} for row, common in corners]


def keypoints(found: Annotation, info: Info, categories: Categories, image: Id) -> list[Json]:
    """Return one result with x, y and confidence of each keypoint, in one list, per person with a keypoint.

    Results have no box: `loadRes` would use its area, not that around the keypoints, to separate small from large.
    """
    results = []
    people = found.need("keypoints").tolist()
    for points, common in zip(people, _common(found, info, categories, image), strict=True):
        if any(confidence > 0 for *_, confidence in points):
            results.append(common | {"keypoints": [_short(value) for point in points for value in point]})
    return results


def _common(found: Annotation, info: Info, categories: Categories, image: Id) -> list[Json]:
    classes = found.class_ids(info).tolist()
    scores = [1.0] * len(classes) if found.scores is None else found.scores.tolist()
    return [
        {"image_id": image, "category_id": categories[category], "score": exact(score)}
        for category, score in zip(classes, scores, strict=True)
    ]


def _box(x0: float, y0: float, x1: float, y1: float) -> list[float]:
    return [_short(value) for value in to_coco(x0, y0, x1, y1)]


def exact(value: float) -> float:
    """Return the shortest decimal of a float32: equal scores stay equal in the file and others keep their order."""
    return float(str(np.float32(value)))


def _short(value: float) -> float:
    return round(value, 6)


def _free(colour: Colour, used: set[int]) -> int:
    """Return the number of this colour, or the next free one."""
    code = colour[0] + 256 * colour[1] + 65536 * colour[2]
    while code in used:
        code = (code + 1) % 256**3
    used.add(code)
    return code
