"""Convert predictions to what labelling tools import."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from densepred import atomic
from densepred.conversion import class_maps, cvat, label_studio, labelme, predictions, via
from densepred.conversion.predictions import Predictions
from densepred.conversion.words import HEAD
from densepred.dataset.coco import Id
from densepred.errors import UserError, shown
from densepred.home import expand
from densepred.results.coco import Categories
from densepred.results.ids import Known, image_ids, known_ids
from densepred.results.written import of_last
from densepred.types import Info

SHOWN = 9
"""Categories that a line names at most."""
FILES: dict[str, Callable[[Path, Predictions], None]] = {
    "cvat": cvat.write,
    "label_studio": label_studio.write,
    "via": via.write,
}
"""Forms of one file, by what writes them."""
ENDS = {"cvat": ".xml", "label_studio": ".json", "coco": ".json", "via": ".json", "labelme": ""}
IMPORT = {
    "cvat": "in CVAT, open the task of these images: Upload annotations, CVAT 1.1",
    "label_studio": "in Label Studio, import it into a project with controls called label, for an image called image",
    "coco": "a COCO file of objects",
    "via": "in VIA 2, open it by Project, Load, and set the folder of the images as default path in its settings",
    "labelme": "put each file beside its image, and open the folder of the images in labelme",
}


def convert(folder: Path, output: Path, form: str, threshold: float, coco_ids: str | None = None) -> str:
    """Write the objects of a folder of predictions to a file, or with form=labelme to a folder; return the report.

    coco_ids: a COCO file; form=coco takes its ids of images and categories

    Raises UserError if the folder holds none, or if the output exists.
    """
    if output.exists():
        raise UserError(f"output={output}: exists; choose a new one, such as {form}{ENDS[form]}")
    objects = bool(of_last(folder, predictions.KINDS))
    maps = not objects and class_maps.there(folder)
    found = class_maps.read(folder) if maps else predictions.read(folder, threshold)
    known = None if coco_ids is None else known_ids(expand(coco_ids))
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        lines = list(found.notes)
        if form == "coco":
            numbers = numbered(found, folder, known)
            lines += numbers.notes
            atomic.replace(output, lambda temporary: write_coco(temporary, found, numbers))
        elif form == "labelme":
            with atomic.new_folder(output) as root:
                labelme.write(root, found)
        else:
            atomic.replace(output, lambda temporary: FILES[form](temporary, found))
    except UserError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"input={folder}: a result is damaged ({shown(str(error))}); predict again") from error
    told = [predictions.counted(found), *(f"left out: {what}" for what in found.left), *lines]
    return "\n".join([*told, f"{output}: {IMPORT[form]}"])


@dataclass(frozen=True, slots=True)
class Numbers:
    """Ids of the images, in their order, and of the categories, by those of the results; `notes` tell of them."""

    images: Sequence[Id]
    categories: Mapping[Any, Id]
    notes: tuple[str, ...]


def numbered(found: Predictions, folder: Path, known: Known | None) -> Numbers:
    """Return the ids of a COCO file: those of the results, from 1 if any is no whole number, or those of `known`.

    Raises UserError if `known` lacks an image or a category.
    """
    if known is not None:
        root = predictions.predicted_folder(folder)
        images = image_ids([root / one.name for one in found.pictures], root, known)
        names = tuple(str(one["name"]) for one in found.categories.values())
        listed = Categories.named(Info(names), known.categories, known.source).ids
        return Numbers(images, dict(zip(found.categories, listed, strict=True)), ())
    images = [one.id for one in found.pictures]
    notes = []
    if not all(type(one) is int for one in images):
        images = list(range(1, len(images) + 1))
        notes.append("ids of images: numbered from 1, because COCO's tools take whole numbers")
    if found.categories:
        ids = ", ".join(f"{one['name']} {id}" for id, one in [*found.categories.items()][:SHOWN])
        more = ", ..." if len(found.categories) > SHOWN else ""
        notes.append(f"ids of categories: {ids}{more}; coco_ids=FILE takes those of a COCO file")
    return Numbers(images, {id: id for id in found.categories}, tuple(notes))


def write_coco(path: Path, found: Predictions, numbers: Numbers) -> None:
    """Write images, categories and annotations of COCO, with the fields that importers ask for."""
    images = [
        {"id": numbers.images[one.number], "file_name": one.name, "height": one.size[0], "width": one.size[1]}
        for one in found.pictures
    ]
    rows = []
    for picture in found.pictures:
        for result in picture.results:
            category, image = numbers.categories[result["category_id"]], numbers.images[picture.number]
            common = {"id": len(rows) + 1, "image_id": image, "category_id": category}
            shape = predictions.coco_fields(result, found.kind)
            score = {"score": result["score"]} if "score" in result else {}
            rows.append({**common, **shape, "iscrowd": 0, **score})
    listed = [{**one, "id": numbers.categories[id]} for id, one in found.categories.items()]
    data = {**HEAD, "images": images, "annotations": rows, "categories": listed}
    path.write_text(json.dumps(data), encoding="utf-8")
