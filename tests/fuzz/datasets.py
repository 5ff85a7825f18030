"""Datasets with the trees that tests/dataset draws, and the file of each that fuzzing damages."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from densepred.contracts import Dataset
from densepred.dataset.ade20k import Ade20k
from densepred.dataset.cvat import Cvat
from densepred.dataset.darwin import Darwin
from densepred.dataset.deeplabcut import DeepLabCut
from densepred.dataset.hovernet import HoverNet
from densepred.dataset.imagej import ImageJ
from densepred.dataset.label_studio import LabelStudio
from densepred.dataset.labelme import Labelme
from densepred.dataset.mapillary import Mapillary
from densepred.dataset.oxford_pets import OxfordPets
from densepred.dataset.pannuke import PanNuke
from densepred.dataset.pascal_context import PascalContext
from densepred.dataset.qupath import QuPath
from densepred.dataset.supervisely import Supervisely
from densepred.dataset.via import Via
from densepred.dataset.voc_detection import VocDetection
from densepred.dataset.yolo import Yolo
from tests.fuzz.mutations import BYTES, JSON, TEXT, Change


class Damaged(NamedTuple):
    """`pattern` finds the file to damage below the tree of an option; `changes` are those of its form."""

    read: Callable[[str], Dataset]
    pattern: str
    changes: tuple[Change, ...]


DATASETS = {
    "ade20k": Damaged(Ade20k, "objectInfo150.txt", TEXT),
    "cvat": Damaged(Cvat, "annotations.xml", TEXT),
    "darwin": Damaged(Darwin, "annotations/train/*.json", JSON),
    "deeplabcut": Damaged(DeepLabCut, "labeled-data/day1/*.csv", TEXT),
    "hovernet": Damaged(HoverNet, "Train/Labels/train_1.mat", BYTES),
    "imagej": Damaged(ImageJ, "train/*.zip", BYTES),
    "label_studio": Damaged(LabelStudio, "train.json", JSON),
    "labelme": Damaged(Labelme, "train/*.json", JSON),
    "mapillary": Damaged(Mapillary, "config.json", JSON),
    "oxford_pets": Damaged(OxfordPets, "annotations/trainval.txt", TEXT),
    "pannuke": Damaged(PanNuke, "Fold 1/masks/fold1/masks.npy", BYTES),
    "pascal_context": Damaged(PascalContext, "ImageSets/SegmentationContext/train.txt", TEXT),
    "qupath": Damaged(QuPath, "train/*.geojson", JSON),
    "supervisely": Damaged(Supervisely, "train/ann/*.json", JSON),
    "via": Damaged(Via, "train/*.json", JSON),
    "voc_detection": Damaged(VocDetection, "Annotations/train_a.xml", TEXT),
    "yolo": Damaged(Yolo, "labels/train/*.txt", TEXT),
}
