"""Class maps that densepred-predict wrote, as one region per class and image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as rle

from densepred.conversion.predictions import Picture, Predictions, predicted_folder, read_json
from densepred.dataset.coco_instances import OWN
from densepred.dataset.image_file import EXTENSIONS
from densepred.errors import UserError
from densepred.types import VOID

REGIONS = "class maps: one region per class and image, not one per object"
Json = dict[str, Any]


def there(folder: Path) -> bool:
    """Look for class maps with the names of their classes."""
    return (folder / "labels").is_dir() and (folder / "classes.json").is_file()


def read(folder: Path) -> Predictions:
    """Return the regions of each class but the background, as masks; pixels without a class are in none.

    Images are called as the files that were predicted, or as their maps where those are gone.
    """
    listed = read_json(folder / "classes.json")
    try:
        names = {int(one["id"]): str(one["name"]) for one in listed["classes"]}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder / 'classes.json'}: does not list the classes; predict again") from error
    first = min(names, default=0)
    background = first if names.get(first, "").lower() in OWN else None
    categories: dict[Any, Json] = {}
    for label, name in names.items():
        if label != background:
            categories[label] = {"id": len(categories) + 1, "name": name}
    pictures, gone, root = list[Picture](), 0, predicted_folder(folder)
    for file in sorted((folder / "labels").rglob("*.png")):
        labels = _map(file)
        place = file.relative_to(folder / "labels").with_suffix("")
        name = _file(root, place)
        gone += name is None
        results = [_result(labels == label, categories[label]["id"]) for label in _present(labels, categories)]
        size = (int(labels.shape[0]), int(labels.shape[1]))
        number = len(pictures)
        pictures.append(Picture(number, name or f"{place.as_posix()}.png", size, results, id=number + 1))
    if not pictures:
        raise UserError(f"{folder / 'labels'}: holds no class map; predict again")
    notes = [REGIONS]
    if gone:
        notes.append(f"names of images: {gone} of {len(pictures)} are those of their maps, because the files are gone")
    return Predictions("instances", pictures, {one["id"]: one for one in categories.values()}, notes=tuple(notes))


def _map(file: Path) -> np.ndarray:
    try:
        with Image.open(file) as image:
            return np.asarray(image)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error}); predict again") from error


def _present(labels: np.ndarray, categories: dict[Any, Json]) -> list[int]:
    return [label for label in np.unique(labels).tolist() if label != VOID and label in categories]


def _result(mask: np.ndarray, category: int) -> Json:
    coded: Any = rle.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"category_id": category, "segmentation": {"size": [*mask.shape], "counts": coded["counts"].decode("ascii")}}


def _file(root: Path, place: Path) -> str | None:
    """Return the path of an image below the folder that was predicted, `place` with its extension; None without it."""
    ends = [*sorted(EXTENSIONS), *sorted(map(str.upper, EXTENSIONS))]
    for name in (place, *(place.with_name(f"{place.name}{end}") for end in ends)):
        if (root / name).is_file():
            return name.as_posix()
    return None
