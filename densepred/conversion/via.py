"""A project of the VGG Image Annotator 2: polygons, rectangles, points.

Source of the format: https://www.robots.ox.ac.uk/~vgg/software/via/
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from densepred.conversion.predictions import Found, Predictions
from densepred.ops.regions.outlines import outlines

Json = dict[str, Any]
LABEL = "label"
"""The attribute of the regions that is their class."""
UNKNOWN = -1
"""Size of an image in bytes, of which a project makes no use."""


def write(path: Path, found: Predictions) -> None:
    """Write the regions of all images, and add to `found.left` what VIA cannot hold of them."""
    images: dict[str, Json] = {}
    lost: Counter[str] = Counter()
    for picture in found.pictures:
        regions = [region for one in found.objects(picture) for region in _regions(one, found, lost)]
        entry = {"filename": picture.name, "size": UNKNOWN, "regions": regions, "file_attributes": {}}
        images[f"{picture.name}{UNKNOWN}"] = entry
    names = dict.fromkeys(region["region_attributes"][LABEL] for one in images.values() for region in one["regions"])
    options = dict.fromkeys(names or [str(one["name"]) for one in found.categories.values()], "")
    attribute = {"type": "dropdown", "description": "", "options": options, "default_options": {}}
    project = {
        "_via_settings": {"core": {"default_filepath": ""}, "project": {"name": "densepred"}},
        "_via_img_metadata": images,
        "_via_attributes": {"region": {LABEL: attribute}, "file": {}},
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": list(images),
    }
    path.write_text(json.dumps(project), encoding="utf-8")
    found.left.extend(["scores, of which VIA has none", *(f"{what}: {count}" for what, count in (+lost).items())])


def _regions(one: Found, found: Predictions, lost: Counter[str]) -> list[Json]:
    if one.mask is not None:
        drawn = outlines(one.mask)
        pieces = [points.T.tolist() for points, hole in drawn if not hole]
        lost["holes of masks, which are filled"] += len(drawn) - len(pieces)
        lost["masks of several pieces, which become a region each"] += len(pieces) > 1
        return [_region(one.label, name="polygon", all_points_x=x, all_points_y=y) for x, y in pieces]
    if one.box is not None:
        x, y, width, height = one.box
        return [_region(one.label, name="rect", x=x, y=y, width=width, height=height)]
    assert one.keypoints is not None
    lost["skeletons, of which the points alone are written, without their person"] += 1
    # The center of COCO's first pixel is 0, that of VIA's is 0.5
    return [
        _region(name, name="point", cx=x + 0.5, cy=y + 0.5)
        for name, (x, y, confidence) in zip(found.joints(one.label), one.keypoints.tolist(), strict=True)
        if confidence > 0
    ]


def _region(label: str, **shape: Any) -> Json:
    return {"shape_attributes": shape, "region_attributes": {LABEL: label}}
