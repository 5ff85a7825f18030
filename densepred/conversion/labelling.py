"""Convert predictions to what labelling tools import."""

from __future__ import annotations

import json
from pathlib import Path

from densepred import atomic
from densepred.conversion import cvat, label_studio, predictions
from densepred.conversion.predictions import Predictions
from densepred.errors import UserError, shown
from densepred.output import many


def convert(folder: Path, output: Path, form: str, threshold: float) -> str:
    """Write the objects of a folder of predictions to a file, and return the report.

    Raises UserError if the folder holds none, or if the file exists.
    """
    if output.exists():
        raise UserError(f"output={output}: exists; choose a new file, such as {form}{ENDS[form]}")
    found = predictions.read(folder, threshold)
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        atomic.replace(output, lambda temporary: WRITERS[form](temporary, found))
    except UserError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"input={folder}: a result is damaged ({shown(str(error))}); predict again") from error
    left = [f"{many(found.low, 'object')} with a score below threshold={threshold:g}"] if found.low else []
    left += [f"{name}, beside {found.kind}.json" for name in found.others]
    lines = [predictions.counted(found), *(f"left out: {what}" for what in left)]
    if form == "coco" and image_ids(found) != [one.id for one in found.pictures]:
        lines.append("ids of images: numbered from 1, because COCO's tools take whole numbers")
    lines.append(f"{output}: {IMPORT[form]}")
    return "\n".join(lines)


def image_ids(found: Predictions) -> list[int]:
    """Return the ids of the images in a COCO file: those of the results, or from 1 if any is no whole number."""
    ids = [one.id for one in found.pictures]
    return ids if all(type(one) is int for one in ids) else list(range(1, len(ids) + 1))


def write_coco(path: Path, found: Predictions) -> None:
    """Write images, categories and annotations of COCO, with the fields that importers ask for."""
    ids = image_ids(found)
    images = [
        {"id": ids[one.number], "file_name": one.name, "height": one.size[0], "width": one.size[1]}
        for one in found.pictures
    ]
    rows = []
    for picture in found.pictures:
        for result in picture.results:
            common = {"id": len(rows) + 1, "image_id": ids[picture.number], "category_id": result["category_id"]}
            shape = predictions.coco_fields(result, found.kind)
            rows.append({**common, **shape, "iscrowd": 0, "score": result["score"]})
    data = {"images": images, "annotations": rows, "categories": list(found.categories.values())}
    path.write_text(json.dumps(data), encoding="utf-8")


WRITERS = {"cvat": cvat.write, "label_studio": label_studio.write, "coco": write_coco}
ENDS = {"cvat": ".xml", "label_studio": ".json", "coco": ".json"}
IMPORT = {
    "cvat": "in CVAT, open the task of these images: Upload annotations, CVAT 1.1",
    "label_studio": "in Label Studio, import it into a project with controls called label, for an image called image",
    "coco": "a COCO file of objects",
}
