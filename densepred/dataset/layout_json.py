"""JSON files of annotation programs, recognised by their content, and the words that read them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from densepred.dataset.file_names import normal
from densepred.dataset.layout_tree import (
    FRACTIONS,
    LARGEST,
    Found,
    Tree,
    divided,
    named_splits,
    pattern,
    per_split,
    quoted,
    split_of,
)
from densepred.errors import shown

SEVERAL = 50
"""JSON files that are opened at most."""
WALKED = 200_000
"""Entries below a root that are looked at before files are said to be missing."""


def layouts(tree: Tree) -> Iterator[Found]:
    """Yield the words that read the JSON files of a folder."""
    contents = _contents(tree)
    coco = {name: data for name, data in contents.items() if _is_coco(data)}
    if coco:
        yield from _coco(tree, coco)
        yield from _absolute(tree, coco)
    if labelme := [name for name, data in contents.items() if _is_labelme(data)]:
        known = ("{split}", "annotations/{split}", "labels/{split}")
        yield Found("labelme's form", f"dataset=labelme {divided('dataset.annotations', labelme, known)}")
    for what, option, fits in (
        ("VIA's form", "via", _is_via),
        ("Label Studio's form", "label_studio", _is_label_studio),
    ):
        if names := [name for name, data in contents.items() if fits(data)]:
            yield Found(what, per_split(names, option))


def without_images(tree: Tree) -> Iterator[Found]:
    """Yield COCO files of which the first image is not there."""
    files = {name: _first_image(data) for name, data in _contents(tree).items() if _is_coco(data)}
    absent = _absent(tree, {first.rpartition("/")[2] for first in files.values()})
    for name, first in files.items():
        if first.rpartition("/")[2] in absent:
            what = f"COCO's JSON format ({name}) without its images: {shown(first)} is missing"
            yield Found(what, f"put the images into {tree.root}", read=False)


def _absent(tree: Tree, wanted: set[str]) -> set[str]:
    """Return the names that no file has, also in folders too deep for the tree; none if there are too many to tell."""
    seen = 0
    for _, folders, names in os.walk(tree.root) if wanted else ():
        wanted = wanted.difference(names)
        seen += len(folders) + len(names)
        if not wanted or seen > WALKED:
            return set()
    return wanted


def _contents(tree: Tree) -> dict[str, Any]:
    """Return the contents of the first JSON files that can be read."""
    names = [name for name in tree.files if name.lower().endswith(".json")][:SEVERAL]
    return {name: data for name in names if (data := _content(tree.root / name)) is not None}


def _content(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes()) if path.stat().st_size <= LARGEST else None
    except (OSError, ValueError, RecursionError, MemoryError):
        return None


def _absolute(tree: Tree, files: Mapping[str, dict[str, Any]]) -> Iterator[Found]:
    """Yield COCO files that name their images by paths of the computer that wrote them."""
    for name, data in files.items():
        first = _first_image(data)
        if not (PureWindowsPath(first).anchor or PurePosixPath(first).is_absolute()):
            continue
        parts = PurePosixPath(first).parts
        ends = ["/".join(parts[start:]) for start in range(1, len(parts))]
        end = next((end for end in ends if _place(tree, end, name) is not None), None)
        if end is not None:
            what = f"COCO's JSON format ({name}) with absolute file names, such as {shown(first)}"
            remedy = f"remove {shown(first.removesuffix(end))} from each file_name, and dataset=coco_instances reads it"
            yield Found(what, remedy, read=False)


def _is_coco(data: Any) -> bool:
    lists = ("images", "annotations", "categories")
    return isinstance(data, dict) and all(isinstance(data.get(key), list) for key in lists) and bool(data["images"])


def _is_labelme(data: Any) -> bool:
    return isinstance(data, dict) and isinstance(data.get("shapes"), list) and "imagePath" in data


def _is_via(data: Any) -> bool:
    if isinstance(data, dict) and {"metadata", "file", "view", "attribute"} <= data.keys():  # version 3
        return True
    files = data.get("_via_img_metadata", data) if isinstance(data, dict) else None
    entries = list(files.values()) if isinstance(files, dict) else []
    return bool(entries) and all(isinstance(one, dict) and {"filename", "regions"} <= one.keys() for one in entries)


def _is_label_studio(data: Any) -> bool:
    tasks = data if isinstance(data, list) else []
    return bool(tasks) and all(isinstance(one, dict) and {"annotations", "data"} <= one.keys() for one in tasks)


def _coco(tree: Tree, files: Mapping[str, dict[str, Any]]) -> Iterator[Found]:
    """Yield the words for COCO files: a pattern if there is one per split, otherwise the first file, to be divided."""
    groups: dict[str, dict[str, str]] = {}
    for name in files:
        text, word = pattern(name)
        if word is not None:
            groups.setdefault(text, {})[word] = name
    official = {"train2017": "train", "val2017": "val", "test2017": "test"}
    for text, ones in groups.items():
        splits = named_splits([official.get(word, word) for word in ones])
        if splits is not None:
            name = next(name for word, name in ones.items() if split_of(word) == "train")
            yield from _words(tree, text, files[name], name, splits)
            return
    name = next(iter(files))
    yield from _words(tree, name, files[name], name, FRACTIONS)


def _words(tree: Tree, annotations: str, data: Mapping[str, Any], example: str, splits: str) -> Iterator[Found]:
    place = _images(tree, data, example)
    if place is None:
        return
    option, task = _option(data)
    images = pattern(place)[0] if "{split}" in annotations else place
    words = [f"dataset={option}", quoted("dataset.annotations", annotations), quoted("dataset.images", images)]
    words += _maps(tree, data, example, annotations) if option == "coco_panoptic" else []
    yield Found("COCO's JSON format", " ".join([*words, splits, task]).strip().replace("  ", " "))


def _images(tree: Tree, data: Mapping[str, Any], example: str) -> str | None:
    """Return the folder below which the first image of a file lies, nearest to the file's own; None if it is absent."""
    return _place(tree, _first_image(data), example)


def _first_image(data: Mapping[str, Any]) -> str:
    first = data["images"][0]
    return normal(str(first.get("file_name", ""))) if isinstance(first, dict) else ""


def _maps(tree: Tree, data: Mapping[str, Any], example: str, annotations: str) -> list[str]:
    """Return the word for the folder of PNG files of a panoptic file; none where the dataset finds it."""
    names = (normal(str(one.get("file_name", ""))) for one in data["annotations"] if isinstance(one, dict))
    place = _place(tree, next(names, ""), example)
    if place is None:
        return []
    folder = pattern(place)[0] if "{split}" in annotations else place
    return (
        [] if folder in ("annotations/panoptic_{split}", "panoptic/{split}") else [quoted("dataset.panoptic", folder)]
    )


def _place(tree: Tree, name: str, example: str) -> str | None:
    """Return the folder below which a file of this name lies, nearest to the file `example`; None without one."""
    places = {
        file[: -len(name)].rstrip("/") or "." for file in tree.files if name and (f"/{file}").endswith(f"/{name}")
    }
    beside = example.rpartition("/")[0] or "."
    word = pattern(example)[1]
    return min(places, key=lambda place: (place != beside, pattern(place)[1] != word, len(place)), default=None)


def _option(data: Mapping[str, Any]) -> tuple[str, str]:
    """Return the dataset and the task for the content of a COCO file."""
    records = [record for record in data["annotations"] if isinstance(record, dict)]
    if any("segments_info" in record for record in records):
        return "coco_panoptic", "task=panoptic"
    if any(record.get("keypoints") for record in records):
        return "coco_keypoints", "task=pose"
    return "coco_instances", "" if any(record.get("segmentation") for record in records) else "task=detection_fcos"
