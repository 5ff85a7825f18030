"""Every dataset, converted to folders and to COCO and read back, holds the same objects; the report names the rest."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from pycocotools import mask as rle

from densepred.contracts import Dataset
from densepred.conversion.convert import convert
from densepred.errors import UserError
from densepred.jobs import parts
from densepred.settings import ConvertSettings, DataSettings
from densepred.types import VOID, Sample
from tests import companions
from tests.cases import few
from tests.conftest import composed
from tests.conversion.test_convert import readers_of
from tests.dataset import trees

SPLITS = ("train", "valid", "test")
OPTIONS = [name.partition("/")[2] for name in companions.options("dataset")]
UNLIKE = ("cityscapes_panoptic", "labelme", "mpii", "nuclei", "yolo")
UNMASKED = ("coco_keypoints", "deeplabcut", "mpii", "voc_detection", "yolo")

REGIONS = "classes of class maps: one region per class and image, not one per object"
VOIDS = "images with void pixels: background in the result"
STUFF = ("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation")
STUFF += ("terrain", "sky")
ORDER = "images with instances in another order: by class"
LEFT = {
    ("ade20k", "coco"): [f"6 {VOIDS}", f"900 {REGIONS}"],
    ("camvid", "coco"): [f"12 {REGIONS}"],
    ("cityscapes", "coco"): [f"3 {VOIDS}", f"57 {REGIONS}"],
    ("cityscapes_panoptic", "coco"): [
        *(f"3 images with pixels of {name} in no instance" for name in STUFF),
        f"3 {VOIDS}",
    ],
    ("coco_instances", "folder"): [
        "3 images with ignore regions (crowds stay crowds in maps)",
        "6 areas that differ from the pixels of their masks: counted again",
        f"3 {ORDER}",
    ],
    ("coco_panoptic", "coco"): ["3 images with pixels of grass in no instance", f"6 {VOIDS}"],
    ("folder", "coco"): [f"12 {REGIONS}"],
    ("hovernet", "folder"): [f"20 {ORDER}"],
    ("isbi", "coco"): [f"12 {REGIONS}", "6 images without three channels: COCO datasets read three"],
    ("mpii", "coco"): ["3 boxes that reach beyond their image: COCO datasets clip them"],
    ("mapillary", "coco"): ["3 images with pixels of Sky in no instance", f"3 {VOIDS}"],
    ("oxford_pets", "coco"): [f"42 {VOIDS}", f"42 {REGIONS}"],
    ("pascal_context", "coco"): [f"177 {REGIONS}"],
    ("shapes", "folder"): ["6 instances with keypoints", f"6 {ORDER}"],
    ("voc", "coco"): [f"60 {REGIONS}"],
}
"""Lines of the report on what the form does not hold, in the trees of tests/dataset."""


class Object(NamedTuple):
    """An object by its class, with the pixels of its mask as 0 and 1, row by row."""

    kind: str
    crowd: bool
    box: tuple[float, ...] = ()
    area: float = 0
    mask: bytes = b""
    keypoints: tuple[float, ...] = ()


@cache
def node_of(option: str) -> Any:
    root = ["dataset.root=unset"] if companions.from_disk(option) else []
    return composed(f"dataset={option}", *root).dataset


def drawn(option: str, root: Path) -> dict[str, Any]:
    """Draw the tree of an option, and return its node."""
    if companions.from_disk(option):
        trees.draw(option, root)
        return changed(option, [f"dataset.root={root}"])
    return changed(option, ["dataset.size=[37,45]", "dataset.counts={train: 3, valid: 2, test: 1}"])


def changed(option: str, words: list[str]) -> dict[str, Any]:
    """Return the node of an option with overrides of it, without a composition for each."""
    node = copy.deepcopy(node_of(option))
    for one in OverridesParser.create().parse_overrides(words):
        node[str(one.key_or_group).removeprefix("dataset.")] = one.value()
    found = OmegaConf.to_container(node, resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def left_out(report: str) -> list[str]:
    listed = report.partition("left out or changed:\n")[2].partition("to read it:")[0]
    assert bool(listed) != ("nothing is left out" in report)
    return [line.strip() for line in listed.splitlines()]


def read(node: dict[str, Any]) -> dict[str, Dataset]:
    return {split: parts.dataset(node, split) for split in SPLITS}


@pytest.mark.filterwarnings("ignore::densepred.errors.Notice")
@pytest.mark.parametrize("form", ["folder", "coco"])
@pytest.mark.parametrize("option", few(OPTIONS, UNLIKE))
def test_the_result_holds_what_the_dataset_holds(option: str, form: str, tmp_path: Path) -> None:
    node = drawn(option, tmp_path / "in")
    settings = ConvertSettings(dataset=node, output=str(tmp_path / "out"), form=form, data=DataSettings())
    if form == "folder" and option in UNMASKED:
        with pytest.raises(UserError, match=r"form=folder: holds masks, .*; type form=coco"):
            convert(settings, tmp_path / "out")
        return
    if (option, form) == ("nifti", "coco"):
        with pytest.raises(UserError, match=r"form=coco: the images have 2 channels, .*; type form=folder"):
            convert(settings, tmp_path / "out")
        return
    report = convert(settings, tmp_path / "out")
    assert left_out(report) == LEFT.get((option, form), [])
    before = read(node)
    for chosen, *words in readers_of(report):
        reader = chosen.removeprefix("dataset=")
        after = read(changed(reader, words))
        for split in SPLITS:
            assert len(before[split]) == len(after[split])
            results = {sample.frame.id: sample for sample in every(after[split])}
            for sample in every(before[split]):
                place = sample.frame.id.removeprefix(f"{split}/")
                compare(reader, before[split], sample, after[split], results[place])


def every(data: Dataset) -> Iterator[Sample]:
    return (data[index] for index in range(len(data)))


def compare(reader: str, before: Dataset, one: Sample, after: Dataset, other: Sample) -> None:
    """Compare a sample with what a reader of the result gives."""
    assert torch.equal(one.image.expand_as(other.image), other.image)
    if reader in ("folder", "instance_folder"):
        assert torch.equal(one.truth.need("semantic"), other.truth.need("semantic"))
        assert before.info.classes == after.info.classes
    if reader == "instance_folder":
        assert sorted(visible(before, one)) == sorted(visible(after, other)) == sorted(whole(after, other))
    elif reader == "coco_instances" and holds_objects(before):
        kept = [row for row in whole(before, one) if row.box or row.mask]
        assert sorted(kept) == sorted(whole(after, other))
    elif reader == "coco_keypoints":
        rows = whole(before, one, points=True)
        posed = [row._replace(box=inside(row.box, one)) for row in rows if row.kind in after.info.classes]
        assert sorted(posed) == sorted(whole(after, other, points=True))
    elif reader == "coco_instances":
        assert torch.equal(by_name(before, one, after.info.classes), other.truth.need("semantic").long())


def holds_objects(data: Dataset) -> bool:
    return bool({"instances", "boxes", "keypoints"} & set(data.info.provides))


def whole(data: Dataset, sample: Sample, points: bool = False) -> Iterator[Object]:
    """Yield the objects as the sample gives them, hidden parts included."""
    truth = sample.truth
    for row, kind in enumerate(truth.class_ids(data.info).tolist()):
        mask = None
        if truth.masks is not None:
            mask = rle.decode(truth.masks[row])
        elif truth.instances is not None:
            mask = (truth.instances.numpy() == row + 1).astype(np.uint8)
        yield Object(
            data.info.classes[kind],
            bool(truth.crowd is not None and truth.crowd[row]),
            tuple(truth.boxes[row].tolist()) if truth.boxes is not None else (),
            float(truth.areas[row]) if truth.areas is not None else 0,
            mask.tobytes() if mask is not None and not points else b"",
            tuple(labelled(truth.keypoints[row]).flatten().tolist()) if points and truth.keypoints is not None else (),
        )


def inside(box: tuple[float, ...], sample: Sample) -> tuple[float, ...]:
    height, width = sample.truth.size
    return tuple(np.clip(box, -0.5, [width - 0.5, height - 0.5] * 2).tolist())


def labelled(keypoints: torch.Tensor) -> torch.Tensor:
    """Return keypoints (K, 3), all 0 where they are not labelled."""
    return keypoints * (keypoints[:, 2:] > 0)


def visible(data: Dataset, sample: Sample) -> Iterator[Object]:
    """Yield the objects as a map of ids holds them: their visible pixels, boxes and areas of these."""
    truth = sample.truth
    for row, kind in enumerate(truth.class_ids(data.info).tolist()):
        mask = truth.need("instances").numpy() == row + 1
        ys, xs = np.nonzero(mask)
        box = (xs.min() - 0.5, ys.min() - 0.5, xs.max() + 0.5, ys.max() + 0.5)
        crowd = bool(truth.crowd is not None and truth.crowd[row])
        yield Object(data.info.classes[kind], crowd, tuple(map(float, box)), len(xs), mask.astype(np.uint8).tobytes())


def by_name(data: Dataset, sample: Sample, names: Sequence[str]) -> torch.Tensor:
    """Return the class map in the numbers of `names`, where class 0 is the background; void is 0 too."""
    table = torch.zeros(256, dtype=torch.long)
    for number, name in enumerate(data.info.classes):
        table[number] = 0 if name.lower() == "background" else names.index(name)
    table[VOID] = 0
    return table[sample.truth.need("semantic").long()]
