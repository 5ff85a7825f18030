"""Objects that densepred-predict found, read back from its folder of results."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle

from densepred.dataset.listing import record
from densepred.errors import UserError, shown
from densepred.output import many
from densepred.results.coco import BACKGROUND
from densepred.results.written import of_last

KINDS = ("instances", "keypoints", "detections")


@dataclass(frozen=True, slots=True)
class Found:
    """One object: a mask (H, W) bool, or a box (x, y, width, height) in pixels, or keypoints (K, 3) of COCO."""

    label: str
    score: float
    mask: np.ndarray | None = None
    box: tuple[float, float, float, float] | None = None
    keypoints: np.ndarray | None = None


@dataclass(slots=True)
class Picture:
    """An image with its objects, by falling score. `id` is that of the results."""

    number: int
    name: str
    size: tuple[int, int]  # height, width
    results: list[dict[str, Any]] = field(default_factory=list)
    id: Any = None


@dataclass(frozen=True, slots=True)
class Predictions:
    """`kind` is the file of results; `left` lists what is not converted, `notes` are further facts."""

    kind: str
    pictures: list[Picture]
    categories: dict[Any, dict[str, Any]]
    left: list[str] = field(default_factory=list[str])
    notes: tuple[str, ...] = ()

    def objects(self, picture: Picture) -> list[Found]:
        """Return the objects of an image, with the masks decoded."""
        return [self._object(result, picture) for result in picture.results]

    def _object(self, result: dict[str, Any], picture: Picture) -> Found:
        label, score = str(self.categories[result["category_id"]]["name"]), float(result.get("score", 1))
        if self.kind == "instances":
            coded = result["segmentation"]
            mask = rle.decode({"size": coded["size"], "counts": coded["counts"].encode("ascii")}).astype(bool)
            if mask.shape != picture.size:
                raise UserError(f"{picture.name}: a mask has another size than the image; predict again")
            return Found(label, score, mask=mask)
        if self.kind == "keypoints":
            return Found(label, score, keypoints=np.array(result["keypoints"], float).reshape(-1, 3))
        x, y, width, height = result["bbox"]
        return Found(label, score, box=(x, y, width, height))

    def joints(self, label: str) -> list[str]:
        """Return the names of the keypoints of a class."""
        return next(list(one.get("keypoints", ())) for one in self.categories.values() if one["name"] == label)


def read(folder: Path, threshold: float) -> Predictions:
    """Read the results above the threshold. Raises UserError if the folder holds no objects, or damaged files."""
    kind, *others = of_last(folder, KINDS) or [None]
    if kind is None or not (folder / "images.json").is_file():
        raise UserError(
            f"input={folder}: holds no images.json and {', '.join(f'{one}.json' for one in KINDS)}, and no labels/ "
            "with classes.json; give the output of densepred-predict with classes, instances, boxes or keypoints"
        )
    listed, results = read_json(folder / "images.json"), read_json(folder / f"{kind}.json")
    try:
        categories = {one["id"]: one for one in listed["categories"]}
        pictures = {
            one["id"]: Picture(number, str(one["file_name"]), (int(one["height"]), int(one["width"])), id=one["id"])
            for number, one in enumerate(listed["images"])
        }
        low = sum(_score(one) < threshold for one in results)
        for result in sorted(results, key=lambda result: -_score(result)):
            if _score(result) >= threshold:
                _ = categories[result["category_id"]]
                pictures[result["image_id"]].results.append(result)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"does not fit images.json ({shown(str(error))})"
        raise UserError(f"{folder / kind}.json: {reason}; predict again") from error
    stuff = _without_objects(categories, list(pictures.values()))
    left = [f"{many(low, 'object')} with a score below threshold={threshold:g}"] if low else []
    left += [f"{one}.json, beside {kind}.json" for one in others]
    if names := [name for name in stuff if name.lower() not in BACKGROUND]:
        left.append(f"stuff ({', '.join(names)}) of labels/, beside {kind}.json")
    return Predictions(kind, list(pictures.values()), categories, left)


def _score(result: dict[str, Any]) -> float:
    return result.get("score", 1)


def _without_objects(categories: dict[Any, dict[str, Any]], pictures: list[Picture]) -> list[str]:
    """Take stuff and an unused background from the categories, and return their names."""
    used = {result["category_id"] for picture in pictures for result in picture.results}
    gone = [
        id
        for number, (id, one) in enumerate(categories.items())
        if id not in used and (not one.get("isthing", 1) or (not number and str(one["name"]).lower() in BACKGROUND))
    ]
    return [str(categories.pop(id)["name"]) for id in gone]


def counted(found: Predictions) -> str:
    """Describe the objects in one line: how many of each class."""
    names = Counter(found.categories[result["category_id"]]["name"] for one in found.pictures for result in one.results)
    classes = ", ".join(f"{name} {count}" for name, count in names.most_common())
    what = {"instances": ("mask",), "keypoints": ("skeleton",), "detections": ("box", "boxes")}[found.kind]
    return f"{many(len(found.pictures), 'image')}, {many(names.total(), *what)}" + (f": {classes}" if classes else "")


def predicted_folder(folder: Path) -> Path:
    """Return the folder of the images of these predictions, by their record; the current one without a record."""
    source = Path(str((record(folder) or {}).get("input", ".")))
    return source if source.is_dir() else source.parent


def read_json(path: Path) -> Any:
    """Return the content of a file of results. Raises UserError if it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read ({error}); predict again") from error


def coco_fields(result: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return mask, box, area and keypoints of a result as an annotation of COCO has them."""
    if kind == "instances":
        coded: Any = {**result["segmentation"], "counts": result["segmentation"]["counts"].encode("ascii")}
        box, area = rle.toBbox(coded).tolist(), float(rle.area(coded))
        return {"segmentation": result["segmentation"], "bbox": box, "area": area}
    if kind == "detections":
        return {"segmentation": [], "bbox": result["bbox"], "area": result["bbox"][2] * result["bbox"][3]}
    points = np.array(result["keypoints"], float).reshape(-1, 3)
    seen = points[points[:, 2] > 0]
    (x, y), (right, below) = seen[:, :2].min(0).tolist(), seen[:, :2].max(0).tolist()
    visible = np.concatenate((points[:, :2], 2 * (points[:, 2:] > 0)), 1)
    box = [x, y, right - x + 1, below - y + 1]  # around the pixels; in COCO's files a pixel begins at its number
    return {
        "keypoints": np.where(visible[:, 2:] > 0, visible, 0).ravel().tolist(),
        "num_keypoints": len(seen),
        "bbox": box,
        "area": box[2] * box[3],
    }
