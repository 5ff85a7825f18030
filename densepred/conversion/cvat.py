"""CVAT for images 1.1: the XML that CVAT imports into a task, matched by the names of images.

Source of the format: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np

from densepred.conversion.predictions import Found, Predictions
from densepred.errors import UserError, shown
from densepred.output import many


def write(path: Path, found: Predictions) -> None:
    """Write masks, boxes or skeletons of all images."""
    root = Xml.Element("annotations")
    Xml.SubElement(root, "version").text = "1.1"
    labels = Xml.SubElement(Xml.SubElement(Xml.SubElement(root, "meta"), "task"), "labels")
    for category in found.categories.values():
        _label(labels, str(category["name"]), found)
    for picture in found.pictures:
        height, width = picture.size
        fields = {"id": str(picture.number), "name": checked(picture.name), "width": str(width), "height": str(height)}
        image = Xml.SubElement(root, "image", fields)
        for order, one in enumerate(found.objects(picture)):
            _shape(image, one, order, found)
    Xml.indent(root)
    Xml.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def checked(name: str) -> str:
    """Return the name of an image, a class or a keypoint; raise UserError if it cannot stand in XML."""
    if not name.isprintable():
        raise UserError(f"{shown(name)}: this name cannot stand in XML; change it and predict again")
    return name


def _label(labels: Xml.Element, name: str, found: Predictions) -> None:
    label = Xml.SubElement(labels, "label")
    Xml.SubElement(label, "name").text = checked(name)
    Xml.SubElement(label, "type").text = {"instances": "mask", "keypoints": "skeleton"}.get(found.kind, "rectangle")
    Xml.SubElement(label, "attributes")
    if found.kind != "keypoints":
        return
    for joint in found.joints(name):
        part = Xml.SubElement(labels, "label")
        Xml.SubElement(part, "name").text = checked(joint)
        Xml.SubElement(part, "type").text = "points"
        Xml.SubElement(part, "attributes")
        Xml.SubElement(part, "parent").text = name


def _shape(image: Xml.Element, one: Found, order: int, found: Predictions) -> None:
    common = {"label": one.label, "source": "auto", "occluded": "0"}
    if one.mask is not None:
        top, left, part = cropped(one.mask)
        runs = ", ".join(map(str, row_runs(part)))
        size = {"left": str(left), "top": str(top), "width": str(part.shape[1]), "height": str(part.shape[0])}
        Xml.SubElement(image, "mask", {**common, "rle": runs, **size, "z_order": str(order)})
    elif one.box is not None:
        x, y, width, height = one.box
        edges = {"xtl": x, "ytl": y, "xbr": x + width, "ybr": y + height}
        written = {key: f"{value:.2f}" for key, value in edges.items()}
        Xml.SubElement(image, "box", {**common, **written, "z_order": str(order)})
    elif one.keypoints is not None:
        skeleton = Xml.SubElement(image, "skeleton", {"label": one.label, "source": "auto", "z_order": str(order)})
        names = found.joints(one.label)
        if len(names) != len(one.keypoints):
            raise UserError(
                f"{one.label}: has {many(len(one.keypoints), 'keypoint')} and {many(len(names), 'name')}; predict again"
            )
        for name, (x, y, confidence) in zip(names, one.keypoints.tolist(), strict=True):
            # The center of COCO's first pixel is 0, that of CVAT's is 0.5
            points = f"{x + 0.5:.2f},{y + 0.5:.2f}"
            outside = str(int(confidence <= 0))
            Xml.SubElement(skeleton, "points", label=name, source="auto", outside=outside, occluded="0", points=points)


def cropped(mask: np.ndarray) -> tuple[int, int, np.ndarray]:
    """Return top and left of the smallest window that holds a mask (H, W) bool, and the mask in it."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not len(rows):
        return 0, 0, mask[:1, :1]
    return int(rows[0]), int(columns[0]), mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def row_runs(mask: np.ndarray) -> list[int]:
    """Return the lengths of runs of a mask by rows, the first one of pixels outside (0 if there are none)."""
    flat = np.concatenate(([False], mask.ravel()))
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate(([0], edges, [mask.size]))).tolist()
