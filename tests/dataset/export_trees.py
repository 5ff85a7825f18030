"""Exports of labelling tools in small trees, with the regions of tests/dataset/layout_trees.py."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from tests.dataset import deeplabcut_tree, imagej_tree, layout_trees
from tests.dataset.files import picture, write
from tests.dataset.layout_trees import NAMES, SIZE, SPLITS, VALID, Draw, everything, objects, regions, truth, yolo_row
from tests.dataset.voc_detection_tree import xml

LABELS = ("a wall", "nucleus")
Rectangle = tuple[str, float, float, float, float]


def labelled(name: str) -> Iterator[Rectangle]:
    """Yield label, x, y, width and height of the regions of an image."""
    for label, (x, y, width, height) in zip(LABELS, regions(name), strict=True):
        yield label, x, y, width, height


def images(root: Path, place: str) -> None:
    for name in NAMES:
        write(root / place.format(name), picture(SIZE))


def documents(place: str, image: str, content: Callable[[str], Any]) -> Draw:
    """Draw a JSON file per image."""

    def draw(root: Path) -> None:
        images(root, image)
        for name in NAMES:
            path = root / place.format(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content(name)))

    return draw


def cvat_xml(root: Path) -> None:
    images(root, "images/{}.jpg")
    labels = "".join(f"<label><name>{label}</name><color>#00ff00</color></label>" for label in LABELS)
    rows = ""
    for number, name in enumerate(NAMES):
        shapes = "".join(
            f'<polygon label="{label}" points="{x},{y};{x + w},{y};{x + w},{y + h};{x},{y + h}" z_order="0"></polygon>'
            for label, x, y, w, h in labelled(name)
        )
        rows += f'<image id="{number}" name="{name}.jpg" width="{SIZE[1]}" height="{SIZE[0]}">{shapes}</image>'
    meta = f"<meta><task><labels>{labels}</labels></task></meta>"
    (root / "annotations.xml").write_text(f"<annotations><version>1.1</version>{meta}{rows}</annotations>")


def via_csv(root: Path) -> None:
    """Write VIA's CSV of version 2 in the folder of each split."""
    layout_trees.via(root)
    for path in sorted(root.glob("*/via_region_data.json")):
        rows = [["filename", "region_count", "region_id", "region_shape_attributes", "region_attributes"]]
        for entry in json.loads(path.read_text()).values():
            for number, one in enumerate(entry["regions"]):
                cells = [json.dumps(one["shape_attributes"]), json.dumps(one["region_attributes"])]
                rows.append([entry["filename"], "2", str(number), *cells])
        path.unlink()
        with path.with_suffix(".csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)


def brushes(root: Path) -> None:
    images(root, "images/{}.jpg")
    for number, name in enumerate(NAMES, 1):
        for kind, label in enumerate(LABELS, 1):
            mask = (truth(name) == kind).astype(np.uint8) * 255
            write(root / f"task-{number}-annotation-{number}-by-1-tag-{label}-0.png", mask)


def labelme_xml(root: Path) -> None:
    """The form of the LabelMe of MIT, which labelme is named after."""
    images(root, "Images/a/{}.jpg")
    for name in NAMES:
        corners = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in ((3, 2), (9, 2), (9, 8)))
        polygon = f"<polygon><username>u</username>{corners}</polygon>"
        entry = f"<object><name>car</name><deleted>0</deleted><id>0</id>{polygon}</object>"
        text = f"<annotation><filename>{name}.jpg</filename><folder>a</folder>{entry}</annotation>"
        (root / "Annotations/a").mkdir(parents=True, exist_ok=True)
        (root / f"Annotations/a/{name}.xml").write_text(text)


def cellpose_flows(root: Path) -> None:
    """Draw what cellpose saves with its options for flows and outlines, beside the images."""
    everything("{}.png", "{}_cp_masks.png", objects)(root)
    for name in NAMES:
        for what, kind in (("flows", "tif"), ("dP", "tif"), ("cellprob", "tif"), ("outlines", "png")):
            write(root / f"{name}_{what}_cp_masks.{kind}", picture(SIZE))


def cellpose_folders(root: Path) -> None:
    """Draw what cellpose saves with its option for folders."""
    everything("{}.png", "masks/{}_cp_masks.png", objects)(root)
    for name in NAMES:
        write(root / f"flows/{name}_dP_cp_masks.tif", picture(SIZE))
        write(root / f"outlines/{name}_outlines_cp_masks.png", picture(SIZE))


def cellpose_pickles(root: Path) -> None:
    images(root, "{}.png")
    for name in NAMES:
        header = "{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(117) + "\n"
        (root / f"{name}_seg.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00" + header.encode() + b"a pickle")


def segments_masks(root: Path) -> None:
    """Draw what Segments.ai's export_dataset writes: class masks beside the images and the maps of ids."""
    place = "segments/jane_cells/v1.0"
    everything(f"{place}/{{}}.png", f"{place}/{{}}_label_ground-truth_semantic.png")(root)
    for name in NAMES:
        write(root / f"{place}/{name}_label_ground-truth.png", objects(name))


def segments_panoptic(root: Path) -> None:
    """Draw a panoptic file of Segments.ai, with its PNG files beside the images."""
    place, ends = "segments/jane_cells/v1.0", "_label_ground-truth_coco-panoptic.png"
    pictures, notes = [], []
    for number, name in enumerate(NAMES):
        write(root / f"{place}/{name}.png", picture(SIZE))
        colours = np.zeros((*SIZE, 3), np.uint8)
        colours[..., 0] = objects(name)
        write(root / f"{place}/{name}{ends}", colours)
        parts = [{"id": kind, "category_id": kind, "iscrowd": 0, "bbox": [0, 0, 1, 1], "area": 1} for kind in (1, 2)]
        notes.append({"image_id": number, "file_name": f"{name}{ends}", "segments_info": parts})
        pictures.append({"id": number, "file_name": f"{name}.png", "height": SIZE[0], "width": SIZE[1]})
    kinds = [{"id": kind, "name": label, "isthing": 1} for kind, label in enumerate(LABELS, 1)]
    text = json.dumps({"images": pictures, "annotations": notes, "categories": kinds})
    (root / "export_coco-panoptic_jane_cells_v1.0.json").write_text(text)


def superannotate(root: Path) -> None:
    images(root, "{}.jpg")
    for name in NAMES:
        write(root / f"{name}.jpg___fuse.png", picture(SIZE))
        instance = {"classId": 5, "className": "wall", "type": "bbox", "points": {"x1": 1, "y1": 2, "x2": 9, "y2": 8}}
        (root / f"{name}.jpg___objects.json").write_text(json.dumps({"metadata": {}, "instances": [instance]}))


def labelbox(root: Path) -> None:
    images(root, "{}.jpg")
    rows = [json.dumps({"data_row": {"id": name, "external_id": f"{name}.jpg"}, "projects": {}}) for name in NAMES]
    (root / "export.ndjson").write_text("\n".join(rows))


def make_sense(root: Path) -> None:
    images(root, "images/{}.jpg")
    lines = [f"wall,1,2,9,8,{name}.jpg,{SIZE[1]},{SIZE[0]}" for name in NAMES]
    (root / "labels_my-project-name_2024-05-01-10-00-00.csv").write_text("\n".join(lines))


def dataloop(root: Path) -> None:
    images(root, "items/{}.jpg")
    (root / "json").mkdir()
    corners = [{"x": 1, "y": 2, "z": 0}, {"x": 9, "y": 8, "z": 0}]
    for name in NAMES:
        box = {"id": "a", "datasetId": "d", "type": "box", "label": "wall", "coordinates": corners}
        item = {"id": name, "datasetId": "d", "filename": f"/{name}.jpg", "dir": "/", "annotations": [box]}
        (root / f"json/{name}.json").write_text(json.dumps(item))


def scale(root: Path) -> None:
    images(root, "{}.jpg")
    box = {"label": "wall", "type": "box", "left": 1, "top": 2, "width": 8, "height": 6}
    tasks = [
        {"task_id": name, "params": {"attachment": f"{name}.jpg"}, "response": {"annotations": [box]}} for name in NAMES
    ]
    (root / "tasks.json").write_text(json.dumps(tasks))


def coco_alone(root: Path) -> None:
    """Draw a COCO file that was downloaded without its images."""
    pictures = [{"id": 1, "file_name": "cell1.jpg", "height": SIZE[0], "width": SIZE[1]}]
    (root / "result.json").write_text(json.dumps({"images": pictures, "annotations": [], "categories": []}))


def labelme2voc(root: Path) -> None:
    images(root, "JPEGImages/{}.jpg")
    images(root, "SegmentationClassVisualization/{}.jpg")
    for folder in ("SegmentationClass", "SegmentationClassNpy"):
        (root / folder).mkdir()
    for name in NAMES:
        np.save(root / f"SegmentationClassNpy/{name}.npy", truth(name).astype(np.int32))
        image = Image.fromarray(truth(name))
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
        image.save(root / f"SegmentationClass/{name}.png")
    (root / "class_names.txt").write_text("\n".join(("_background_", *LABELS)))


def roboflow_yolo(root: Path) -> None:
    for split, word in VALID.items():
        for name in SPLITS[split]:
            write(root / f"{word}/images/{name}_jpg.rf.1a.jpg", picture(SIZE))
            rows = [yolo_row(kind, region, False) for kind, region in enumerate(regions(name))]
            (root / word / "labels").mkdir(exist_ok=True)
            (root / f"{word}/labels/{name}_jpg.rf.1a.txt").write_text("\n".join(rows))
    places = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n"
    (root / "data.yaml").write_text(f"{places}nc: 2\nnames: {[*LABELS]}\nroboflow:\n  workspace: lab\n")


def cvat_yolo(root: Path) -> None:
    """Draw CVAT's YOLO 1.1: paths begin with a folder `data` that it does not make."""
    places = [f"obj_train_data/{name}" for names in SPLITS.values() for name in names]
    for place in places:
        write(root / f"{place}.jpg", picture(SIZE))
        rows = [yolo_row(kind, region, False) for kind, region in enumerate(regions(PurePosixPath(place).name))]
        (root / f"{place}.txt").write_text("\n".join(rows))
    (root / "train.txt").write_text("\n".join(f"data/{place}.jpg" for place in places) + "\n")
    (root / "obj.names").write_text("\n".join(LABELS) + "\n")
    (root / "obj.data").write_text("classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n")


def roboflow_voc(root: Path) -> None:
    for split, word in VALID.items():
        for name in SPLITS[split]:
            write(root / f"{word}/{name}_jpg.rf.1a.jpg", picture(SIZE))
            boxes = [(label, 0, x + 1, y + 1, x + w, y + h) for label, x, y, w, h in labelled(name)]
            (root / f"{word}/{name}_jpg.rf.1a.xml").write_text(xml(f"{name}_jpg.rf.1a.jpg", *boxes))


def corners(x: float, y: float, w: float, h: float, shift: float = 0) -> list[list[float]]:
    """Return the corners of a rectangle, moved by `shift`."""
    return [[a + shift, b + shift] for a, b in ((x, y), (x + w, y), (x + w, y + h), (x, y + h))]


def supervisely(root: Path) -> None:
    """Draw a project in which the centers of pixels, not their corners, are whole numbers."""

    def content(name: str) -> Any:
        shapes = [
            {"classTitle": label, "geometryType": "polygon", "points": {"exterior": corners(*box, shift=-0.5)}}
            for label, *box in labelled(name)
        ]
        return {"tags": [], "size": {"height": SIZE[0], "width": SIZE[1]}, "objects": shapes}

    documents("ds0/ann/{}.jpg.json", "ds0/img/{}.jpg", content)(root)
    classes = [{"title": label, "shape": "polygon", "color": "#00FF00"} for label in LABELS]
    (root / "meta.json").write_text(json.dumps({"classes": classes, "tags": [], "projectType": "images"}))


def darwin(root: Path) -> None:
    def content(name: str) -> Any:
        found = [
            {"name": kind, "polygon": {"paths": [[{"x": x, "y": y} for x, y in corners(*box)]]}}
            for kind, *box in labelled(name)
        ]
        return {"version": "2.0", "item": {"name": f"{name}.jpg", "path": "/"}, "annotations": found}

    documents("releases/latest/annotations/{}.json", "images/{}.jpg", content)(root)


def geojson(root: Path) -> None:
    def content(name: str) -> Any:
        features = [
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [[*corners(*box), list(box[:2])]]},
                "properties": {"objectType": "annotation", "classification": {"name": label}},
            }
            for label, *box in labelled(name)
        ]
        return {"type": "FeatureCollection", "features": features}

    documents("annotations/{}.geojson", "images/{}.jpg", content)(root)


def imagej(root: Path) -> None:
    images(root, "images/{}.tif")
    for name in NAMES:
        found = [(label, [(int(x), int(y)) for x, y in corners(*box)]) for label, *box in labelled(name)]
        rois = [imagej_tree.region(imagej_tree.POLYGON, points, label) for label, points in found]
        imagej_tree.pack(root / f"rois/RoiSet_{name}.zip", *rois)


def deeplabcut(root: Path) -> None:
    for video in deeplabcut_tree.SPLITS:
        deeplabcut_tree.tree(root, video)
