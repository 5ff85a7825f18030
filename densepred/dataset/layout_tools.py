"""Exports of labelling tools, recognised by their content, and the words that read them."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator

from densepred.dataset.layout_tree import (
    FOLDS,
    FRACTIONS,
    LARGEST,
    TOKEN,
    Found,
    Tree,
    divided,
    named_splits,
    per_split,
    quoted,
)

SEVERAL = 50
"""Files of a kind that are opened at most."""
VIA = rb"\A(\xef\xbb\xbf)?(#?filename,.*region_shape_attributes|# Exported using VGG Image Annotator)"
"""First line of VIA's CSV, of versions 2 and 3."""


def layouts(tree: Tree) -> Iterator[Found]:
    """Yield the words that read the files of a folder."""
    for what, look in TOOLS.items():
        if words := look(tree):
            yield Found(what, words)


def cvat_files(tree: Tree) -> list[str]:
    """Return CVAT's XML files, each of many images; VOC has one per image."""
    names = [name for name in tree.files if name.lower().endswith(".xml")]
    return [name for name in names[:SEVERAL] if b"<annotations>" in tree.beginning(name)]


def _cvat(tree: Tree) -> str | None:
    names = cvat_files(tree)
    if not names:
        return None
    subsets = {one.decode().lower() for one in re.findall(rb' subset="(\w+)"', tree.beginning(names[0], LARGEST))}
    known = [word for word in subsets if TOKEN.fullmatch(word)]
    if names == ["annotations.xml"] and (named := named_splits(known)) is not None:
        return f"dataset=cvat {FOLDS if FOLDS in named else ''}".strip()
    words = per_split(names, "cvat")
    folders = {name.rpartition("/")[0] for name in names if name.endswith("/annotations.xml")}
    tasks = len(folders) == len(names) > 1 and "{split}" not in words and len({one.count("/") for one in folders}) == 1
    if not tasks:
        return words
    stars = "*/" * (1 + next(iter(folders)).count("/"))
    return f"dataset=cvat {quoted('dataset.annotations', f'{stars}annotations.xml')} {FRACTIONS}"


def _supervisely(tree: Tree) -> str | None:
    names = _json(tree, "ann/", {"objects", "size"}) if "meta.json" in tree.files else []
    places = [name.replace("/ann/", "/") for name in names]
    known = ("{split}", "datasets/{split}")
    return f"dataset=supervisely {divided('dataset.annotations', places, known)}" if names else None


def _darwin(tree: Tree) -> str | None:
    names = _json(tree, "", {"version", "item", "annotations"})
    known = ("{split}", "annotations/{split}", "releases/latest/annotations/{split}")
    return f"dataset=darwin {divided('dataset.annotations', names, known)}" if names else None


def _json(tree: Tree, folder: str, keys: set[str]) -> list[str]:
    """Return the JSON files in folders of this name, if the first of them is a mapping with these keys."""
    names = [name for name in tree.files if re.fullmatch(rf"(.*/)?{folder}[^/]*\.json", name, re.IGNORECASE)]
    for name in names[:SEVERAL]:
        with contextlib.suppress(ValueError, RecursionError):
            data = json.loads(tree.beginning(name, LARGEST))
            if isinstance(data, dict) and keys <= data.keys():
                return names
    return []


def _qupath(tree: Tree) -> str | None:
    names = [name for name in tree.files if name.lower().endswith(".geojson")]
    known = ("{split}", "annotations/{split}", "geojson/{split}")
    return f"dataset=qupath {divided('dataset.annotations', names, known)}" if names else None


def _imagej(tree: Tree) -> str | None:
    names = [name for name in tree.files if name.lower().endswith(".roi")]
    packed = [name for name in tree.files if name.lower().endswith(".zip")][:SEVERAL]
    names += [name for name in packed if b".roi" in tree.beginning(name)]
    known = ("{split}", "rois/{split}", "annotations/{split}")
    return f"dataset=imagej {divided('dataset.annotations', names, known)}" if names else None


def _via_csv(tree: Tree) -> str | None:
    names = [name for name in tree.files if name.lower().endswith(".csv")][:SEVERAL]
    found = [name for name in names if re.search(VIA, tree.beginning(name, 1 << 12))]
    return per_split(found, "via") if found else None


TOOLS: dict[str, Callable[[Tree], str | None]] = {
    "CVAT's XML": _cvat,
    "Supervisely's format": _supervisely,
    "V7's Darwin JSON": _darwin,
    "QuPath's GeoJSON": _qupath,
    "regions of ImageJ": _imagej,
    "VIA's CSV": _via_csv,
}
