"""Exports that divide their images themselves, or lie in several folders, as tools and converters write them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np

from tests.dataset import export_trees, layout_trees
from tests.dataset.files import picture, write
from tests.dataset.layout_trees import COLOURS, NAMES, SIZE, SPLITS, VALID, halves, regions, truth, yolo_row

COLOUR_TABLE = "0 0 0 background\n128 0 0 wall\n0 128 0 nucleus\n"


def cvat_subsets(root: Path) -> None:
    """Draw the masks of a project of CVAT, of which each subset has a list."""
    layout_trees.cvat_masks(root)
    lists = root / "ImageSets/Segmentation"
    (lists / "default.txt").unlink()
    for split, name in (("train", "Train"), ("val", "Validation")):
        (lists / f"{name}.txt").write_text("\n".join(SPLITS[split]) + "\n")


def cvat_tasks(root: Path) -> None:
    """Draw two tasks of CVAT for images, unpacked side by side."""
    export_trees.cvat_xml(root)
    text = (root / "annotations.xml").read_text()
    images = re.findall(r"<image .*?</image>", text)
    head = text.partition("<image ")[0]
    for number, part in enumerate((slice(0, 5), slice(5, None)), 1):
        folder = root / f"task_{number}"
        (folder / "images").mkdir(parents=True)
        for name in NAMES[part]:
            shutil.move(root / f"images/{name}.jpg", folder / f"images/{name}.jpg")
        (folder / "annotations.xml").write_text(f"{head}{''.join(images[part])}</annotations>")
    (root / "annotations.xml").unlink()


def voc_boxes(root: Path) -> None:
    """Draw boxes beside folders of masks that are empty, as converters leave them."""
    layout_trees.voc_boxes(root)
    (root / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\n")
    (root / "SegmentationClass").mkdir()


def nnunet_folds(root: Path) -> None:
    layout_trees.nnunet(root)
    folds = [{"train": NAMES[:9], "val": NAMES[9:]}, {"train": NAMES[3:], "val": NAMES[:3]}]
    (root / "splits_final.json").write_text(json.dumps(folds))


def kitti(root: Path) -> None:
    """Draw class maps beside maps of instances and drawings of the classes."""
    for split, names in SPLITS.items():
        for name in names:
            write(root / f"{split}/image_2/{name}.png", picture(SIZE))
            write(root / f"{split}/semantic/{name}.png", truth(name).astype(np.uint16))
            write(root / f"{split}/instance/{name}.png", truth(name).astype(np.uint16) * 257)
            write(root / f"{split}/semantic_rgb/{name}.png", COLOURS[truth(name)])
    (root / "label_colors.txt").write_text(COLOUR_TABLE)


def camvid(root: Path) -> None:
    halves("SPLIT/{}.png", "SPLITannot/{}.png", {"train": "train", "val": "val"})(root)
    for split, names in SPLITS.items():
        for name in names:
            write(root / f"{split}annot/{name}.png", COLOURS[truth(name)])
    (root / "label_colors.txt").write_text(COLOUR_TABLE)


def darknet(root: Path) -> None:
    """Draw Roboflow's YOLO Darknet: images and labels in the folder of each split."""
    for split, word in VALID.items():
        for name in SPLITS[split]:
            write(root / f"{word}/{name}_jpg.rf.1a.jpg", picture(SIZE))
            rows = [yolo_row(kind, region, False) for kind, region in enumerate(regions(name))]
            (root / f"{word}/{name}_jpg.rf.1a.txt").write_text("\n".join(rows))
        (root / word / "_darknet.labels").write_text("a wall\nnucleus\n")
    (root / "README.roboflow.txt").write_text("a wall\n")


def listed(root: Path) -> None:
    """Draw pairs in folders with names that say nothing, with a list of them."""
    rows = ["Image;Label;Set"]
    for split, names in SPLITS.items():
        for name in names:
            write(root / f"one/{name}.png", picture(SIZE))
            write(root / f"two/z_{name}_x.png", truth(name))
            rows.append(f"one/{name}.png;two/z_{name}_x.png;{split}")
    (root / "extra.csv").write_text("name,label\ncell1,2\n")
    (root / "table.csv").write_text("\n".join(rows))


def listed_per_split(root: Path) -> None:
    """Draw pairs with a list per split, without headings."""
    listed(root)
    rows = (root / "table.csv").read_text().split("\n")[1:]
    (root / "table.csv").unlink()
    for split, word in (("train", "train"), ("val", "valid")):
        lines = [row.rpartition(";")[0] for row in rows if row.endswith(f";{split}")]
        (root / f"{word}.csv").write_text("\n".join(lines))


LAYOUTS = {
    "a list of pairs": (listed, "ids"),
    "lists of pairs": (listed_per_split, "ids"),
    "cvat masks of subsets": (cvat_subsets, "names"),
    "cvat tasks": (cvat_tasks, "boxes"),
    "voc boxes, empty masks": (voc_boxes, "boxes alone"),
    "nnunet with folds": (nnunet_folds, "names"),
    "kitti": (kitti, "names"),
    "camvid in colours": (camvid, "names"),
    "roboflow darknet": (darknet, "boxes alone"),
}


def dota(root: Path) -> None:
    export_trees.images(root, "images/{}.png")
    (root / "labelTxt").mkdir()
    for name in NAMES:
        (root / f"labelTxt/{name}.txt").write_text("1 1 5 1 5 5 1 5 nucleus 0\n")


def open_images(root: Path) -> None:
    export_trees.images(root, "images/train/{}.jpg")
    (root / "annotations").mkdir()
    (root / "annotations/train-annotations-bbox.csv").write_text("ImageID,Source,LabelName,Confidence,XMin,XMax\n")


def segments_colours(root: Path) -> None:
    """Draw instances of Segments.ai in colours, of which there are 36 for any number of objects."""
    halves("{}.png", "{}_label_ground-truth_instance_colored.png", {"train": ""})(root)


def absolute_coco(root: Path) -> None:
    """Draw COCO JSON with the paths of the computer of Windows that wrote it."""
    layout_trees.coco("result.json", "images/{}.jpg", "D:\\my data\\images\\{}.jpg")(root)


UNREAD = {
    "coco with absolute names": (
        absolute_coco,
        r"result\.json\) with absolute file names, such as 'D:.*; remove 'D:/my data/' from each file_name, and "
        r"dataset=coco_instances reads it$",
    ),
    "dota": (dota, r"DOTA's turned boxes, which no dataset reads; export polygons as COCO"),
    "open images": (open_images, r"Open Images' CSV, .*export as COCO \(datum convert .*dataset=coco_instances$"),
    "segments.ai, objects in colours": (segments_colours, r"of which several are equal, .*; export ids \(in Python"),
}
