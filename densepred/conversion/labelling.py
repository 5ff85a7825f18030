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
    lines = [predictions.counted(found), *(f"left out: {what}" for what in left), f"{output}: {IMPORT[form]}"]
    return "\n".join(lines)


def write_coco(path: Path, found: Predictions) -> None:
    """Write images, categories and annotations of COCO, with the fields that importers ask for."""
    images = [
        {"id": one.number + 1, "file_name": one.name, "height": one.size[0], "width": one.size[1]}
        for one in found.pictures
    ]
    rows = []
    for picture in found.pictures:
        for result in picture.results:
            common = {"id": len(rows) + 1, "image_id": picture.number + 1, "category_id": result["category_id"]}
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
