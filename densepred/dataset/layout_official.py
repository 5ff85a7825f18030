"""Layouts that the names of folders and files give away, and the words that read each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from densepred.dataset import layout_tools, mat_file, yolo_file
from densepred.dataset.image_file import EXTENSIONS
from densepred.dataset.layout_tree import (
    FOLDS,
    FRACTIONS,
    LARGEST,
    Found,
    Tree,
    divided,
    named_splits,
    quoted,
    split_of,
)
from densepred.dataset.layout_unread import polygons_in_xml
from densepred.errors import UserError

Look = Callable[[Tree], str | None]


def layouts(tree: Tree) -> Iterator[Found]:
    """Yield the layouts that fit."""
    for what, look in OFFICIAL.items():
        if words := look(tree):
            yield Found(what, words)


def _nnunet(tree: Tree) -> str | None:
    if not tree.has("imagesTr", "labelsTr"):
        return None
    folds = tree.has("splits_final.json")
    splits = "dataset.list=splits_final.json dataset.fold=0" if folds else FRACTIONS
    if tree.any(r"imagesTr/.*\.nii(\.gz)?"):
        return f"dataset=nifti {splits}" if folds else "dataset=nifti"
    numbered = tree.any(r"imagesTr/.*_0000\.\w+")
    suffix = "dataset.image_suffix=_0000 " if numbered else ""
    return f"dataset=folder dataset.images=imagesTr dataset.masks=labelsTr {suffix}{splits}"


def _cvat_masks(tree: Tree) -> str | None:
    images = next((name for name in ("JPEGImages", "images") if tree.has(name)), None)
    if images is None or not tree.has("labelmap.txt") or not tree.any(r"SegmentationClass/.*\.png"):
        return None
    return _by_lists(tree, f"dataset=folder dataset.images={images} dataset.masks=SegmentationClass")


def _by_lists(tree: Tree, folders: str) -> str:
    """Return the words for folders with lists of the names of each split, or with fractions if there are none."""
    place = "ImageSets/Segmentation/"
    words = [name.removeprefix(place)[:-4] for name in tree.files if re.fullmatch(rf"{place}[A-Za-z]+\.txt", name)]
    splits = named_splits(words)
    if splits is None:
        return f"{folders} {FRACTIONS}"
    return f"{folders} {quoted('dataset.list', f'{place}{{split}}.txt')} {splits}".strip()


def _kitti(tree: Tree) -> str | None:
    found = sorted(name.partition("/")[0] for name in tree.folders if name.endswith("/image_2"))
    folders = [name for name in found if tree.has(f"{name}/semantic")]  # images of a test may have none
    if not folders:
        return None
    words = "dataset=folder 'dataset.images=\"{split}/image_2\"' 'dataset.masks=\"{split}/semantic\"'"
    splits = named_splits(folders)
    if splits is None:
        name = max(folders, key=lambda name: split_of(name) == "train")
        return f"{words} {FRACTIONS}".replace("{split}", name)
    return f"{words} {splits}".strip()


def _roboflow_masks(tree: Tree) -> str | None:
    lists = [name for name in tree.files if name.endswith("/_classes.csv")]
    if not lists or not tree.any(r".*_mask\.png"):
        return None
    parts = [PurePosixPath(name).parent.name for name in lists]
    splits = named_splits(parts)
    if splits is None:
        words = f"dataset=folder dataset.images=train dataset.masks=train dataset.mask_suffix=_mask {FRACTIONS}"
        return words if "train" in parts else None
    folders = f"{quoted('dataset.images', '{split}')} {quoted('dataset.masks', '{split}')}"
    return f"dataset=folder {folders} dataset.mask_suffix=_mask {splits}"


def _voc(tree: Tree) -> str | None:
    """Look for VOC's folders; classes of images that are not called as VOC's are others than VOC's 21."""
    if not tree.has("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        return None
    own = tree.any(r"SegmentationClass/(?!\d{4}_\d{6}\.)[^/]*")
    folders = "dataset=folder dataset.images=JPEGImages dataset.masks=SegmentationClass"
    return _by_lists(tree, folders) if own else "dataset=voc"


def _pascal_context(tree: Tree) -> str | None:
    masks = tree.has("SegmentationClassContext") or tree.has("59_context_labels") or tree.any(r"trainval/.*\.mat")
    return "dataset=pascal_context" if tree.has("JPEGImages") and masks else None


def _oxford_pets(tree: Tree) -> str | None:
    return "dataset=oxford_pets" if tree.has("images", "annotations/trimaps") else None


def _ade20k(tree: Tree) -> str | None:
    numbered = tree.any(r"annotations/training/ADE_train_\d+\.png")
    if not tree.has("images/training", "annotations/training") or not numbered:
        return None
    return "dataset=ade20k" + ("" if tree.has("objectInfo150.txt") else " dataset.names=null")


def _mapillary(tree: Tree) -> str | None:
    if not tree.has("training/images"):
        return None
    if tree.has("config_v2.0.json", "training/v2.0"):
        return "dataset=mapillary dataset.version=v2.0"
    return "dataset=mapillary" if tree.any(r"config(_v1\.2)?\.json") else None


def _cityscapes(tree: Tree) -> str | None:
    return "dataset=cityscapes" if tree.has("leftImg8bit", "gtFine") else None


def _yolo(tree: Tree) -> str | None:
    known = {"data.yaml": "labels", "dataset.yaml": "labels", "obj.data": r"obj_\w+_data", "obj.names": "labels"}
    known |= {"classes.txt": "labels", "train/_darknet.labels": "train"}
    path = next((name for name in known if tree.has(name)), None)
    folder = rf"(.*/)?{known.get(path or '', 'labels')}/"
    labels = [name for name in tree.files if re.match(folder, name) and name.endswith(".txt")]
    if path is None or not labels:
        return None
    try:
        splits = yolo_file.read(tree.root / path, tree.root).splits
        boxes = all(len(values) == yolo_file.BOX for _, (_, values) in yolo_file.rows(tree.root / labels[0]))
    except UserError:  # which dataset=yolo tells
        return "dataset=yolo"
    parts = "" if "valid" in splits else FOLDS if {"train", "test"} <= {*splits} else FRACTIONS
    return " ".join(filter(None, ["dataset=yolo", parts, "task=detection_fcos" if boxes else ""]))


def _voc_boxes(tree: Tree) -> str | None:
    files = [name for name in tree.files if name.endswith(".xml")]
    if not files or not tree.images() or layout_tools.cvat_files(tree) or polygons_in_xml(tree):
        return None
    lists = tree.has("ImageSets/Main/train.txt") and tree.any(r"ImageSets/Main/val(id)?\.txt")
    known = ("Annotations/{split}", "{split}", "annotations/{split}")
    words = "" if lists else divided("dataset.annotations", files, known)
    return " ".join(filter(None, ["dataset=voc_detection", words, "task=detection_fcos"]))


def _pannuke(tree: Tree) -> str | None:
    folds = [name for name in tree.folders if re.fullmatch(r"(.*/)?fold\d", name)]
    there = any((tree.root / name / "images.npy").is_file() for name in folds)  # deeper than the files of the tree
    return "dataset=pannuke task=instance_center" if there else None


def _hovernet(tree: Tree) -> str | None:
    consep = tree.has("Train/Images") and tree.any(r"Train/Labels/.*\.mat")
    return "dataset=hovernet task=instance_center" if consep else None


def _hovernet_output(tree: Tree) -> str | None:
    """Look whether the first .mat file holds instances, and for the folder of its image."""
    files = [PurePosixPath(name) for name in tree.files]
    maps = next((one for one in files if one.suffix == ".mat"), None)
    try:
        if maps is None or not mat_file.read(tree.root / maps, "inst_map", LARGEST).size:
            return None
    except (ValueError, OSError):
        return None
    images = {one.parent for one in files if one.stem == maps.stem and one.suffix.lower() in EXTENSIONS}
    place = min(images - {maps.parent}, key=lambda one: ("overlay" in one.parts, len(one.parts), one), default=None)
    if place is None:
        return None
    words = f"{quoted('dataset.images', str(place))} {quoted('dataset.labels', str(maps.parent))} dataset.types=null"
    return f"dataset=hovernet {words} task=instance_center"


def _segments(tree: Tree) -> str | None:
    """Look for class masks, then for maps of ids, then for class masks in colours, of Segments.ai's export_dataset."""
    kinds = {"semantic": "folder", "instance": "instance_folder", "semantic_colored": "folder"}
    for kind, option in kinds.items():
        for name in tree.files:
            found = re.fullmatch(rf"(?:(.*)/)?[^/]*(_label_[\w-]+_{kind})\.png", name)
            if found is not None:
                folders = (quoted(f"dataset.{key}", found[1] or ".") for key in ("images", "masks"))
                rest = f"{quoted('dataset.mask_suffix', found[2])} dataset.unpaired=skip"
                return f"dataset={option} {' '.join(folders)} {rest} {FRACTIONS}"
    return None


def _deeplabcut(tree: Tree) -> str | None:
    found = tree.any(r"labeled-data/[^/]+/CollectedData_[^/]*\.(csv|h5)")
    return "dataset=deeplabcut task=pose" if found else None


OFFICIAL: dict[str, Look] = {
    "nnU-Net's raw form": _nnunet,
    "CVAT's segmentation masks": _cvat_masks,
    "KITTI's segmentation": _kitti,
    "Roboflow's semantic masks": _roboflow_masks,
    "PASCAL-Context": _pascal_context,
    "PASCAL VOC": _voc,
    "Oxford-IIIT Pet": _oxford_pets,
    "ADE20K": _ade20k,
    "Mapillary Vistas": _mapillary,
    "Cityscapes": _cityscapes,
    "a project of DeepLabCut": _deeplabcut,
    "PanNuke": _pannuke,
    "CoNSeP": _hovernet,
    "HoVer-Net's output": _hovernet_output,
    "masks of Segments.ai": _segments,
    "YOLO's form": _yolo,
    "PASCAL VOC's boxes": _voc_boxes,
}
