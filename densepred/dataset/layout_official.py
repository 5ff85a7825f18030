"""Layouts that the names of folders and files give away, and the words that read each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from densepred.dataset.layout_tree import FRACTIONS, Found, Tree, quoted, split_words

Look = Callable[[Tree], str | None]


def layouts(tree: Tree) -> Iterator[Found]:
    """Yield the layouts that fit."""
    for what, look in OFFICIAL.items():
        if words := look(tree):
            yield Found(what, words)


def _nnunet(tree: Tree) -> str | None:
    if not tree.has("imagesTr", "labelsTr"):
        return None
    numbered = tree.any(r"imagesTr/.*_0000\.\w+")
    suffix = "dataset.image_suffix=_0000 " if numbered else ""
    return f"dataset=folder dataset.images=imagesTr dataset.masks=labelsTr {suffix}{FRACTIONS}"


def _cvat_masks(tree: Tree) -> str | None:
    images = next((name for name in ("JPEGImages", "images") if tree.has(name)), None)
    if images is None or not tree.has("labelmap.txt", "SegmentationClass"):
        return None
    return f"dataset=folder dataset.images={images} dataset.masks=SegmentationClass {FRACTIONS}"


def _roboflow_masks(tree: Tree) -> str | None:
    lists = [name for name in tree.files if name.endswith("/_classes.csv")]
    if not lists or not tree.any(r".*_mask\.png"):
        return None
    splits = split_words(PurePosixPath(name).parent.name for name in lists)
    folders = f"{quoted('dataset.images', '{split}')} {quoted('dataset.masks', '{split}')}"
    return f"dataset=folder {folders} dataset.mask_suffix=_mask {splits}"


def _voc(tree: Tree) -> str | None:
    return "dataset=voc" if tree.has("JPEGImages", "SegmentationClass", "ImageSets/Segmentation") else None


def _cityscapes(tree: Tree) -> str | None:
    return "dataset=cityscapes" if tree.has("leftImg8bit", "gtFine") else None


OFFICIAL: dict[str, Look] = {
    "nnU-Net's raw form": _nnunet,
    "CVAT's segmentation masks": _cvat_masks,
    "Roboflow's semantic masks": _roboflow_masks,
    "PASCAL VOC": _voc,
    "Cityscapes": _cityscapes,
}
