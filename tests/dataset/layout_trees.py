"""Small trees in the layouts of other programs, with three regions per image at places that depend on its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from densepred.dataset.outline import rectangle
from tests.dataset.coco_tree import note
from tests.dataset.files import picture, write
from tests.dataset.label_studio_tree import brush, result, task
from tests.dataset.labelme_tree import save as save_labelme
from tests.dataset.labelme_tree import shape
from tests.dataset.via_tree import region
from tests.dataset.voc_detection_tree import xml

Draw = Callable[[Path], None]

SIZE = (37, 45)
NAMES = [f"{word}{number}" for word in ("cell", "field") for number in range(1, 7)]
SPLITS = {"train": NAMES[:8], "val": NAMES[8:]}
COLOURS = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]], np.uint8)


def truth(name: str) -> np.ndarray:
    """Return a class map (H, W) of 0, 1 and 2 in three regions at places that depend on the name."""
    ids = np.zeros(SIZE, np.uint8)
    start = NAMES.index(name)
    ids[5 + start : 15 + start, 4:20] = 1
    ids[8:30, 25 : 31 + start] = 2
    return ids


def objects(name: str) -> np.ndarray:
    """Return a map of instances (H, W): one per region."""
    return truth(name).astype(np.uint16)


def pair(root: Path, image: str, mask: str, split: str = "train", ids: Callable[[str], np.ndarray] = truth) -> None:
    """Draw the images and masks of a split; {} in the paths is the name."""
    for name in SPLITS[split]:
        write(root / image.format(name), picture(SIZE))
        write(root / mask.format(name), ids(name))


def everything(image: str, mask: str, ids: Callable[[str], np.ndarray] = truth) -> Draw:
    def draw(root: Path) -> None:
        for split in SPLITS:
            pair(root, image, mask, split, ids)

    return draw


def halves(image: str, mask: str, words: dict[str, str]) -> Draw:
    """Draw a folder per split; `words` are their names."""

    def draw(root: Path) -> None:
        for split, word in words.items():
            pair(root, image.replace("SPLIT", word), mask.replace("SPLIT", word), split)

    return draw


def cellpose(root: Path) -> None:
    everything("{}_img.png", "{}_masks.png", objects)(root)
    (root / "cell1_img_seg.npy").write_bytes(b"\x93NUMPY a pickle, never opened")


def nnunet(root: Path) -> None:
    everything("imagesTr/{}_0000.png", "labelsTr/{}.png")(root)
    labels = {"background": 0, "wall": 1, "nucleus": 2}
    text = {"channel_names": {"0": "R", "1": "G", "2": "B"}, "labels": labels, "numTraining": 12, "file_ending": ".png"}
    (root / "dataset.json").write_text(json.dumps(text))


def ade(root: Path) -> None:
    for split, word in (("train", "train"), ("val", "val")):
        pair(root, f"images/{word}/{{}}.png", f"masks/{word}/{{}}.png", split)


def cvat_masks(root: Path) -> None:
    everything("JPEGImages/{}.jpg", "SegmentationClass/{}.png", lambda name: COLOURS[truth(name)])(root)
    everything("JPEGImages/{}.jpg", "SegmentationObject/{}.png", lambda name: COLOURS[truth(name)])(root)
    rows = ["background:0,0,0::", "wall:128,0,0::", "nucleus:0,128,0::"]
    (root / "labelmap.txt").write_text("# label:color_rgb:parts:actions\n" + "\n".join(rows) + "\n")
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    (root / "ImageSets/Segmentation/default.txt").write_text("\n".join(NAMES))


def roboflow_masks(root: Path) -> None:
    halves("SPLIT/{}_png.rf.1a2b.jpg", "SPLIT/{}_png.rf.1a2b_mask.png", {"train": "train", "val": "valid"})(root)
    for word in ("train", "valid"):
        (root / word / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, wall\n2, nucleus\n")


def regions(name: str) -> list[list[float]]:
    """Return x, y, width and height of the regions 1 and 2 of `truth`."""
    start = NAMES.index(name)
    return [[4, 5 + start, 16, 10], [25, 8, 6 + start, 22]]


def coco_file(names: list[str], file_name: str, outlines: bool = True) -> dict[str, Any]:
    images = [
        {"id": i, "file_name": file_name.format(name), "height": SIZE[0], "width": SIZE[1]}
        for i, name in enumerate(names)
    ]
    notes = []
    for image, name in enumerate(names):
        for kind, (x, y, width, height) in enumerate(regions(name), 1):
            outline = [[x, y, x + width, y, x + width, y + height, x, y + height]] if outlines else []
            record = note(len(notes) + 1, kind, [x, y, width, height], width * height, segmentation=outline)
            notes.append({**record, "image_id": image})
    return {
        "images": images,
        "annotations": notes,
        "categories": [{"id": 1, "name": "wall"}, {"id": 2, "name": "nucleus"}],
    }


def coco(file: str, image: str, file_name: str, outlines: bool = True) -> Draw:
    """Draw one JSON file of all images."""

    def draw(root: Path) -> None:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(json.dumps(coco_file(NAMES, file_name, outlines)))
        for name in NAMES:
            write(root / image.format(name), picture(SIZE))

    return draw


def roboflow_coco(root: Path) -> None:
    for split, word in {"train": "train", "val": "valid"}.items():
        for name in SPLITS[split]:
            write(root / word / f"{name}_jpg.rf.1a.jpg", picture(SIZE))
        data = coco_file(SPLITS[split], "{}_jpg.rf.1a.jpg")
        data["categories"].insert(0, {"id": 0, "name": "cells"})
        (root / word / "_annotations.coco.json").write_text(json.dumps(data))


def official_coco(root: Path) -> None:
    for split, names in SPLITS.items():
        for name in names:
            write(root / f"images/{split}/{name}.jpg", picture(SIZE))
        path = root / f"annotations/instances_{split}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(coco_file(names, "{}.jpg")))


def yolo(outlines: bool, *lines: str) -> Draw:
    """Draw images and labels with a data.yaml, or a classes.txt if there are no `lines` for the splits."""

    def draw(root: Path) -> None:
        for split, names in SPLITS.items():
            for name in names:
                part = f"{split}/{name}" if lines else name
                write(root / f"images/{part}.jpg", picture(SIZE))
                rows = [yolo_row(kind, region, outlines) for kind, region in enumerate(regions(name))]
                (root / f"labels/{part}.txt").parent.mkdir(parents=True, exist_ok=True)
                (root / f"labels/{part}.txt").write_text("\n".join(rows))
        text = "\n".join(["names: [wall, nucleus]", *lines]) if lines else "wall\nnucleus\n"
        (root / ("data.yaml" if lines else "classes.txt")).write_text(text)

    return draw


def yolo_row(kind: int, region: list[float], outline: bool) -> str:
    (x, y, width, height), (down, across) = region, SIZE
    points = [x, y, x + width, y, x + width, y + height, x, y + height]
    box = [(x + width / 2) / across, (y + height / 2) / down, width / across, height / down]
    fractions = [value / (down if index % 2 else across) for index, value in enumerate(points)]
    return " ".join(map(str, [kind, *(fractions if outline else box)]))


def labelme(place: str) -> Draw:
    def draw(root: Path) -> None:
        for split, names in SPLITS.items():
            for name in names:
                shapes = [
                    shape(label, [[x, y], [x + width, y + height]], "rectangle")
                    for label, (x, y, width, height) in zip(("wall", "nucleus"), regions(name), strict=True)
                ]
                save_labelme(root, place.format(split=split, name=name), shapes, size=SIZE)
        for path in root.rglob("*.json"):  # in the order of the alphabet, nucleus is class 1
            path.write_text(path.read_text().replace('"wall"', '"a wall"'))

    return draw


def voc_boxes(root: Path) -> None:
    for split, names in SPLITS.items():
        for name in names:
            write(root / f"JPEGImages/{name}.jpg", picture(SIZE))
            boxes = [
                (label, 0, x + 1, y + 1, x + width, y + height)
                for label, (x, y, width, height) in zip(("a wall", "nucleus"), regions(name), strict=True)
            ]
            (root / "Annotations").mkdir(exist_ok=True)
            (root / f"Annotations/{name}.xml").write_text(xml(f"{name}.jpg", *boxes))
        (root / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
        (root / f"ImageSets/Main/{split}.txt").write_text("\n".join(names))


def via(root: Path) -> None:
    for split, names in SPLITS.items():
        files = {}
        for name in names:
            write(root / f"{split}/{name}.jpg", picture(SIZE))
            found = [
                region({"name": "polygon", "all_points_x": corners[::2], "all_points_y": corners[1::2]}, kind=label)
                for label, corners in zip(("a wall", "nucleus"), map(rectangle_of, regions(name)), strict=True)
            ]
            files[name] = {"filename": f"{name}.jpg", "size": 1, "regions": found, "file_attributes": {}}
        (root / f"{split}/via_region_data.json").write_text(json.dumps(files))


def rectangle_of(region: list[float]) -> list[float]:
    x, y, width, height = region
    return rectangle(x, y, x + width, y + height)


def label_studio(root: Path) -> None:
    tasks = []
    for name in NAMES:
        write(root / f"images/{name}.jpg", picture(SIZE))
        masks = [result("brushlabels", label, rle=brush(truth(name) == kind)) for kind, label in LABELS.items()]
        tasks.append(task(len(tasks), f"0a1b2c3d-{name}.jpg", *masks))
    (root / "project-1-at-2026.json").write_text(json.dumps(tasks))


LABELS = {1: "a wall", 2: "nucleus"}
VALID = {"train": "train", "val": "valid"}
