"""Forms of annotation programs that no dataset reads, and the export of the same program that one does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from densepred.dataset.layout_tools import cvat_files, is_of_video
from densepred.dataset.layout_tree import Found, Tree

COCO = "COCO's format, which dataset=coco_instances reads"


def layouts(tree: Tree) -> Iterator[Found]:
    """Yield the forms in a folder, with what to export instead."""
    for fits, what, remedy in FORMS:
        if fits(tree):
            yield Found(what, remedy, read=False)


def _cvat_video(tree: Tree) -> bool:
    return any(is_of_video(tree, name) for name in cvat_files(tree))


def _brushes(tree: Tree) -> bool:
    return tree.any(r"(.*/)?task-\d+-annotation-\d+.*\.(png|npy)")


def _supervisely(tree: Tree) -> bool:
    return "meta.json" in tree.files and _keys(tree, r"(.*/)?ann/[^/]*\.json", {"objects", "size"})


def _darwin(tree: Tree) -> bool:
    return _keys(tree, r".*\.json", {"version", "item", "annotations"})


def _geojson(tree: Tree) -> bool:
    return tree.any(r".*\.geojson")


def _rois(tree: Tree) -> bool:
    return tree.any(r".*\.roi") or tree.any(r"(.*/)?RoiSet[^/]*\.zip")


FORMS: tuple[tuple[Callable[[Tree], bool], str, str], ...] = (
    (_cvat_video, "CVAT's XML for video", "the task as CVAT for images 1.1, and type dataset=cvat"),
    (_brushes, "Label Studio's export of brushes as PNG files", "as JSON, and type dataset=label_studio"),
    (_supervisely, "Supervisely's form", f"the project in {COCO}"),
    (_darwin, "V7's Darwin JSON", f"the dataset in {COCO}"),
    (_geojson, "GeoJSON, as of QuPath", "label images, and read them by dataset=folder or instance_folder"),
    (_rois, "regions of ImageJ", "label images, and read them by dataset=instance_folder"),
)


def _keys(tree: Tree, pattern: str, keys: set[str]) -> bool:
    """Look at the first file with a path that fits a regular expression for these keys."""
    name = next((name for name in tree.files if re.fullmatch(pattern, name)), None)
    data = None if name is None else _parsed(tree.beginning(name))
    return isinstance(data, dict) and keys <= data.keys()


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
