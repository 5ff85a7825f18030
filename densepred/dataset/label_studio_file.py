"""Label Studio's JSON files: the tasks, the image of each, and the results of its first annotation.

Source: https://labelstud.io/guide/export
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from densepred.dataset import coco
from densepred.errors import UserError, shown

BARE, LABELS = ("rectangle", "polygon", "ellipse", "brush"), "labels"
"""Results of the controls Rectangle, Polygon, Ellipse and Brush, and that of Labels, which names their classes."""
UPLOAD = re.compile(r"^[0-9a-f]{8}-")
"""Beginning that Label Studio gives to the name of an uploaded file."""


def read(path: Path) -> list[dict[str, Any]]:
    """Return the tasks of a file, each with a list of annotations. Raises UserError."""
    data = coco.read_json(path)
    if not isinstance(data, list) or not all(
        isinstance(t, dict) and isinstance(t.get("annotations"), list) for t in data
    ):
        raise UserError(f"{path}: holds no tasks with annotations; export from Label Studio as JSON, not JSON-MIN")
    return data


def image_name(task: dict[str, Any], folder: Path, where: str) -> str:
    """Return the path of a task's image below `folder`; if it is not there, its name without the beginning of uploads.

    The longest end of the task's path that is there counts: equal names may stand in several folders.
    """
    data = task.get("data")
    names = [value for value in data.values() if isinstance(value, str)] if isinstance(data, dict) else []
    if len(names) > 1 and isinstance(data, dict) and isinstance(data.get("image"), str):
        names = [data["image"]]
    if len(names) != 1:
        raise UserError(f"{where}: its data are {shown(data)}; give the image under `image`")
    parts = [part for part in re.split(r"[/\\=]", unquote(names[0])) if part not in ("", ".", "..")] or [""]
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    if found := next((end for end in ends if "\0" not in end and os.path.isfile(folder / end)), None):
        return found
    return UPLOAD.sub("", parts[-1])


def labelled(results: object) -> list[Any]:
    """Return the results of an annotation, those with labels in another result as ones that hold them."""
    listed = results if isinstance(results, list) else []
    labels = _labels(listed)
    return [_labelled(result, labels) for result in listed]


def _labels(results: list[Any]) -> dict[str, Any]:
    """Return the labels by the id of the region that they belong to."""
    found = [one for one in results if isinstance(one, dict) and one.get("type") == LABELS and "id" in one]
    return {str(one["id"]): one["value"].get(LABELS) for one in found if isinstance(one.get("value"), dict)}


def _labelled(result: Any, labels: Mapping[str, Any]) -> Any:
    """Return a region with labels in another result as one that holds them; others as they are."""
    if not isinstance(result, dict) or result.get("type") not in BARE or str(result.get("id")) not in labels:
        return result
    kind, value = f"{result['type']}labels", result.get("value")
    found = {**(value if isinstance(value, dict) else {}), kind: labels[str(result["id"])]}
    return {**result, "type": kind, "value": found}
