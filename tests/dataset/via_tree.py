"""VIA's forms: a JSON file beside the images of each split, as of the balloon dataset, CSV, and version 3."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from tests.dataset.files import picture, write

SIZE = (20, 40)
SQUARE = {"name": "polygon", "all_points_x": [10, 30, 30, 10], "all_points_y": [5, 5, 15, 15]}


def region(shape: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": attributes}


def save(root: Path, split: str, regions: Any, project: bool = False) -> None:
    write(root / f"{split}/{split}.jpg", picture(SIZE))
    files = {f"{split}.jpg123": {"filename": f"{split}.jpg", "size": 123, "regions": regions, "file_attributes": {}}}
    data = {"_via_settings": {}, "_via_img_metadata": files} if project else files
    (root / split / "via_region_data.json").write_text(json.dumps(data))


def tree(root: Path, split: str) -> None:
    save(root, split, [region(SQUARE, kind="cat")])


REGIONS = [region(SQUARE, kind="cat"), region({"name": "rect", "x": 2, "y": 3, "width": 5, "height": 6}, kind="dog")]


def table(root: Path) -> None:
    """Write CSV of version 2: a row per region, and one for an image without any."""
    rows = [["filename", "file_size", "file_attributes", "region_count", "region_id", "region_shape_attributes"]]
    rows[0].append("region_attributes")
    for number, one in enumerate(REGIONS):
        cells = [json.dumps(one["shape_attributes"]), json.dumps(one["region_attributes"])]
        rows.append(["train.jpg", "1", "{}", "2", str(number), *cells])
    _write(root / "a.csv", [*rows, ["empty.jpg", "1", "{}", "0", "0", "{}", "{}"]])


def project(root: Path) -> None:
    """Write the project of version 3: shapes by numbers, options by theirs."""
    files = {str(n): {"fid": n, "fname": name, "type": 2, "loc": 1, "src": ""} for n, name in _NAMES.items()}
    marks = {f"1_{n}": {"vid": "1", "flg": 0, "z": [], "xy": xy, "av": {"1": str(n)}} for n, xy in enumerate(_SHAPES)}
    _write(root / "unused.csv", [])
    views = {number: {"fid_list": [int(number)]} for number in files}
    about = {"vid": "2", "flg": 0, "z": [], "xy": [], "av": {"2": "of the whole image"}}
    data = {"project": {"vid_list": [*views]}, "attribute": _OPTIONS, "file": files, "view": views}
    (root / "a.json").write_text(json.dumps({**data, "metadata": {**marks, "2_a": about}}))


def export(root: Path) -> None:
    """Write CSV of version 3: comments, and no row for an image without regions."""
    rows = [
        [f"1_{n}", '["train.jpg"]', "0", "[]", json.dumps(xy), json.dumps({"1": str(n)})]
        for n, xy in enumerate(_SHAPES)
    ]
    columns = "metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata"
    head = [
        "# Exported using VGG Image Annotator",
        f"# ATTRIBUTE = {json.dumps(_OPTIONS)}",
        f"# CSV_HEADER = {columns}",
    ]
    _write(root / "a.csv", rows)
    (root / "a.csv").write_text("\n".join([*head, f"# CSV_HEADER = {columns}", (root / "a.csv").read_text()]))


_NAMES = {"1": "train.jpg", "2": "empty.jpg"}
_OPTIONS = {"1": {"aname": "kind", "anchor_id": "FILE1_Z0_XY1", "type": 4, "options": {"0": "cat", "1": "dog"}}}
_SHAPES = ([7, 10, 5, 30, 5, 30, 15, 10, 15], [2, 2, 3, 5, 6])
FORMS = {"csv of version 2": table, "project of version 3": project, "csv of version 3": export}


def _write(path: Path, rows: list[list[str]]) -> None:
    for name in _NAMES.values():
        write(path.parent / name, picture(SIZE))
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
