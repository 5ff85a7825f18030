"""Class maps that densepred-predict wrote, as one region per class and image."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as rle

from densepred.conversion.predictions import Picture, Predictions, predicted_folder, read_json
from densepred.dataset.coco_instances import OWN
from densepred.dataset.image_file import EXTENSIONS
from densepred.dataset.listing import record
from densepred.errors import UserError
from densepred.results import inputs
from densepred.types import VOID

REGIONS = "class maps: one region per class and image, not one per object"
Json = dict[str, Any]


def there(folder: Path) -> bool:
    """Look for class maps with the names of their classes."""
    return (folder / "labels").is_dir() and (folder / "classes.json").is_file()


def read(folder: Path) -> Predictions:
    """Return the regions of each class but the background, as masks; pixels without a class are in none.

    Images are called as the files that were predicted, or as their maps where those are not found.
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
    pictures, gone = list[Picture](), 0
    images = _Images(predicted_folder(folder), (record(folder) or {}).get("ckpt", ""))
    for file in sorted((folder / "labels").rglob("*.png")):
        labels = _map(file)
        place = file.relative_to(folder / "labels").with_suffix("")
        name = images.name(place)
        gone += name is None
        results = [_result(labels == label, categories[label]["id"]) for label in _present(labels, categories)]
        size = (int(labels.shape[0]), int(labels.shape[1]))
        number = len(pictures)
        pictures.append(Picture(number, name or f"{place.as_posix()}.png", size, results, id=number + 1))
    if not pictures:
        raise UserError(f"{folder / 'labels'}: holds no class map; predict again")
    notes = [REGIONS]
    if gone:
        reason = "because no image of these names is there, or several are"
        notes.append(f"names of images: {gone} of {len(pictures)} are those of their maps, {reason}")
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


@dataclass(slots=True)
class _Images:
    """Image files below the folder that was predicted; `runs` tell the masks among them."""

    root: Path
    runs: Any
    listed: dict[Path, list[str]] = field(default_factory=dict[Path, list[str]])

    def name(self, place: Path) -> str | None:
        """Return the path of the image of a map, `place` with its extension; None without one, or with several."""
        names = self._names(place.parent)
        if place.name in names:
            return place.as_posix()
        found = [self.root / place.with_name(name) for name in names if Path(name).stem == place.name]
        if len(found) > 1:
            masks = inputs.companions_of(found, self.root, self.runs)
            found = [file for file in found if file not in masks]
        return found[0].relative_to(self.root).as_posix() if len(found) == 1 else None

    def _names(self, folder: Path) -> list[str]:
        if folder not in self.listed:
            entries = (self.root / folder).iterdir() if (self.root / folder).is_dir() else ()
            self.listed[folder] = sorted(file.name for file in entries if file.suffix.lower() in EXTENSIONS)
        return self.listed[folder]
