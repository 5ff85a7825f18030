"""Converted datasets, read back by the overrides that the report prints, hold the same images and annotations."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as rle

from densepred.cli import compose
from densepred.contracts import Dataset
from densepred.conversion.convert import convert
from densepred.errors import UserError
from densepred.jobs import parts
from densepred.types import Annotation
from tests import forked
from tests.conftest import composed
from tests.dataset import coco_tree, folder_tree
from tests.dataset.files import picture, write

SHAPES = ("dataset=shapes", "dataset.size=[37,45]", "dataset.counts={train: 3, valid: 2, test: 1}")
SPLITS = ("train", "valid", "test")


def datasets(words: Sequence[str], splits: Sequence[str] = SPLITS) -> dict[str, Dataset]:
    node = compose.settings(composed(*words, "output=unused", name="convert")).dataset
    return {split: parts.dataset(node, split) for split in splits}


def run(words: Sequence[str], output: Path, form: str) -> tuple[str, list[list[str]]]:
    """Convert, and return the report and the overrides in it."""
    settings = compose.settings(composed(*words, f"output={output}", f"form={form}", name="convert"))
    report = convert(settings, output)
    return report, readers_of(report)


def readers_of(report: str) -> list[list[str]]:
    """Return the overrides that read the result, one list per reader."""
    return [shlex.split(line) for line in report.partition("to read it:\n")[2].splitlines()]


def by_class(truth: Annotation) -> Annotation:
    """Return the instances in the order of their classes, as maps of ids number them."""
    assert truth.categories is not None
    return truth.select(torch.argsort(truth.categories, stable=True))


def assert_equal(one: Annotation, other: Annotation, fields: Sequence[str]) -> None:
    for name in fields:
        value, read = getattr(one, name), getattr(other, name)
        if name == "masks":
            assert [rle.decode(mask).tolist() for mask in value] == [rle.decode(mask).tolist() for mask in read]
        else:
            assert torch.equal(value, read), name


ROWS = ("instances", "categories", "boxes", "areas", "crowd")


def test_shapes_as_folders_are_read_back_equal(tmp_path: Path) -> None:
    report, (labels, ids) = run(SHAPES, tmp_path / "out", "folder")
    assert "train: 3 images, 0 of them without any annotation" in report
    assert "instances with keypoints" in report
    before, masks, maps = datasets(SHAPES), datasets(labels), datasets(ids)
    for split, count in zip(SPLITS, (3, 2, 1), strict=True):
        assert len(before[split]) == len(masks[split]) == len(maps[split]) == count
        for index in range(count):
            sample = before[split][index]
            assert torch.equal(sample.image, masks[split][index].image)
            assert_equal(sample.truth, masks[split][index].truth, ["semantic"])
            assert_equal(by_class(sample.truth), maps[split][index].truth, ["semantic", *ROWS])
    assert masks["train"].info.classes == maps["train"].info.classes == before["train"].info.classes
    assert masks["train"].info.palette == maps["train"].info.palette == before["train"].info.palette
    assert maps["train"].info.things == before["train"].info.things


def test_shapes_as_coco_are_read_back_equal(tmp_path: Path) -> None:
    report, (objects, people) = run(SHAPES, tmp_path / "out", "coco")
    assert "nothing is left out" in report
    before, masks, poses = datasets(SHAPES), datasets(objects), datasets(people)
    figure, posed = before["train"].info.classes.index("figure"), 0
    for split in SPLITS:
        for index in range(len(before[split])):
            sample, read = before[split][index], masks[split][index]
            assert torch.equal(sample.image, read.image)
            assert_equal(sample.truth, read.truth, ["semantic", *ROWS])
            truth, found = sample.truth, poses[split][index].truth
            assert truth.categories is not None
            figures = truth.select(truth.categories == figure).need("keypoints")
            figures = figures * (figures[..., 2:] > 0)
            assert torch.equal(figures, found.need("keypoints"))
            posed += len(figures)
    assert posed
    assert masks["train"].info.classes == before["train"].info.classes
    assert poses["train"].info.keypoints == before["train"].info.keypoints
    assert poses["train"].info.limbs == before["train"].info.limbs
    assert poses["train"].info.mirrored == before["train"].info.mirrored


def test_coco_is_read_back_equal_with_crowds_overlaps_and_ids_of_images(tmp_path: Path) -> None:
    for split in ("train2017", "val2017"):
        coco_tree.tree(tmp_path / "in", split)
    words = ["dataset=coco_instances", f"dataset.root={tmp_path / 'in'}"]
    report, (back,) = run(words, tmp_path / "out", "coco")
    assert "test: left out, because it cannot be read" in report
    assert "train: 2 images, 1 of them without any annotation" in report
    before, after = datasets(words, ("train",))["train"], datasets(back, ("train",))["train"]
    for index in range(2):
        one, other = before[index], after[index]
        assert torch.equal(one.image, other.image)
        assert one.frame.number == other.frame.number
        assert_equal(one.truth, other.truth, ["semantic", "masks", "ignore", *ROWS])


def test_fractions_may_leave_out_validation_images(tmp_path: Path) -> None:
    folder_tree.tree(tmp_path / "in", "train")
    words = ["dataset=folder", f"dataset.root={tmp_path / 'in'}", "dataset.images=images/train"]
    words += ["dataset.masks=masks/train", "dataset.splits={train: 1.0}"]
    report, (back,) = run(words, tmp_path / "out", "folder")
    assert "valid: left out, because it cannot be read: dataset.splits: the images are divided by fractions" in report
    assert len(datasets(back, ("train",))["train"]) == len(datasets(words, ("train",))["train"])


def test_keypoints_of_coco_are_read_back_equal(tmp_path: Path) -> None:
    for split in ("train2017", "val2017"):
        coco_tree.tree(tmp_path / "in", split)
    words = ["dataset=coco_keypoints", f"dataset.root={tmp_path / 'in'}"]
    _, (back,) = run(words, tmp_path / "out", "coco")
    before, after = datasets(words, ("train",))["train"], datasets(back, ("train",))["train"]
    for index in range(2):
        fields = ["keypoints", "categories", "boxes", "areas", "crowd", "ignore"]
        assert_equal(before[index].truth, after[index].truth, fields)
    with pytest.raises(UserError, match="type form=coco"):
        run(words, tmp_path / "masks", "folder")
    assert not (tmp_path / "masks").exists()


def test_keypoints_keep_masks_that_not_all_instances_have_and_classes_without_labels(tmp_path: Path) -> None:
    for split in ("train2017", "val2017"):
        coco_tree.tree(tmp_path / "in", split)
        path = tmp_path / f"in/annotations/person_keypoints_{split}.json"
        data = json.loads(path.read_text())
        data["annotations"][0]["segmentation"] = [coco_tree.square(4, 5, 6)]
        data["categories"][0]["keypoints"] = data["categories"][1]["keypoints"]
        path.write_text(json.dumps(data))
    words = ["dataset=coco_keypoints", f"dataset.root={tmp_path / 'in'}"]
    _, readers = run(words, tmp_path / "out", "coco")
    before, after = datasets(words, ("train",))["train"], datasets(readers[-1], ("train",))["train"]
    assert before.info.classes == after.info.classes == ("tree", "person")
    assert [int(rle.decode(mask).sum()) for mask in before[0].truth.masks or []] == [36, 0, 0, 0]
    assert_equal(before[0].truth, after[0].truth, ["keypoints", "masks", "ignore", "categories", "boxes", "crowd"])


def test_a_split_of_boxes_beside_one_of_masks_is_counted(tmp_path: Path) -> None:
    for split in ("train2017", "val2017"):
        coco_tree.tree(tmp_path / "in", split)
    path = tmp_path / "in/annotations/instances_val2017.json"
    data = json.loads(path.read_text())
    for one in data["annotations"]:
        del one["segmentation"]
        one["iscrowd"] = 0
    path.write_text(json.dumps(data))
    report, _ = run(["dataset=coco_instances", f"dataset.root={tmp_path / 'in'}"], tmp_path / "out", "folder")
    assert "2 images without masks, unlike those of training: none are written" in report


def test_a_background_of_instances_is_counted(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write(tmp_path / f"in/images/{split}/a.png", picture((37, 45)))
        write(tmp_path / f"in/instances/{split}/a.png", np.tile(np.array([0, 1001], np.uint16), (37, 23))[:, :45])
    words = ["dataset=instance_folder", f"dataset.root={tmp_path / 'in'}", "dataset.classes=[background,cell]"]
    report, _ = run([*words, "dataset.things=[0,1]", "dataset.divisor=1000"], tmp_path / "out", "coco")
    assert "2 instances of the background: COCO datasets leave them out" in report


def test_a_split_with_keypoints_in_another_order_is_refused(tmp_path: Path) -> None:
    for split in ("train2017", "val2017"):
        coco_tree.tree(tmp_path / "in", split)
    path = tmp_path / "in/annotations/person_keypoints_val2017.json"
    data = json.loads(path.read_text())
    for category in data["categories"]:
        category.get("keypoints", []).reverse()
    path.write_text(json.dumps(data))
    with pytest.raises(
        UserError, match=r"dataset\.splits\.valid: its keypoints differ from those of train; convert it"
    ):
        run(["dataset=coco_keypoints", f"dataset.root={tmp_path / 'in'}"], tmp_path / "out", "coco")


def test_a_class_map_with_void_as_coco_has_one_region_per_class(tmp_path: Path) -> None:
    mask = folder_tree.labels(3)
    mask[0] = 255
    for split in ("train", "valid"):
        write(tmp_path / f"in/images/{split}/a.png", picture((37, 45)))
        write(tmp_path / f"in/masks/{split}/a.png", mask)
    words = [
        "dataset=folder",
        f"dataset.root={tmp_path / 'in'}",
        "dataset.classes=[sky,road,tree]",
        "dataset.ignore_index=255",
    ]
    report, _ = run(words, tmp_path / "out", "coco")
    assert "2 images with void pixels: background in the result" in report
    assert "6 classes of class maps: one region per class" in report
    data = json.loads((tmp_path / "out/annotations/instances_val.json").read_text())
    names: dict[Any, str] = {entry["id"]: entry["name"] for entry in data["categories"]}
    found = {names[one["category_id"]]: rle.decode(one["segmentation"]).astype(bool) for one in data["annotations"]}
    for index, name in enumerate(("sky", "road", "tree")):
        assert np.array_equal(found[name], mask == index)


def test_grey_images_of_16_bits_keep_their_values(tmp_path: Path) -> None:
    values = np.arange(37 * 45, dtype=np.uint16).reshape(37, 45) * 2
    for split in ("train", "valid"):
        write(tmp_path / f"in/images/{split}/a.png", values)
        write(tmp_path / f"in/masks/{split}/a.png", folder_tree.labels(2))
    words = ["dataset=folder", f"dataset.root={tmp_path / 'in'}"]
    _, (back,) = run(words, tmp_path / "out", "folder")
    assert "dataset.max_value=4095" in back
    before, after = datasets(words, ("train",))["train"], datasets(back, ("train",))["train"]
    assert torch.equal(before[0].image, after[0].image)


def test_a_folder_that_is_not_empty_is_kept(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("kept")
    code, _, errors = forked.run("convert", *SHAPES, "output=out", folder=tmp_path)
    assert code == 2
    assert "output=out: exists and is not empty; choose a new folder" in errors
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine.txt"]


def test_the_command_prints_the_report(tmp_path: Path) -> None:
    code, out, errors = forked.run("convert", *SHAPES, "output=my out", "form=coco", folder=tmp_path)
    assert code == 0, errors
    assert f"dataset=coco_instances 'dataset.root={tmp_path / 'my out'}'" in out
    code, _, errors = forked.run("convert", *SHAPES, "output=other", "form=xml", folder=tmp_path)
    assert code == 2
    assert "give folder or coco" in errors


def signed(root: Path) -> tuple[str, ...]:
    """Write images of 5 bands with negative values, and return the overrides that read two of them in a window."""
    ids = np.zeros((37, 45), np.uint8)
    ids[3:20, 4:30] = 1
    for split in ("train", "val", "test"):
        path = root / "images" / split / f"{split}.npy"
        path.parent.mkdir(parents=True)
        np.save(path, np.random.default_rng(2).integers(-100, 200, (37, 45, 5)).astype(np.int16))
        write(root / f"masks/{split}/{split}.png", ids)
    return "dataset=folder", f"dataset.root={root}", "dataset.channels=[4,1]", "dataset.window=[40.0625,400]"


def test_picked_bands_are_not_mapped_by_a_window_twice(tmp_path: Path) -> None:
    words = signed(tmp_path / "in")
    _, (reader,) = run(words, tmp_path / "out", "folder")
    expected = datasets(words)["train"][0].image
    values = np.load(tmp_path / "in/images/train/train.npy")[..., [3, 0]]
    np.testing.assert_allclose(expected, (np.moveaxis(values, 2, 0) + 159.9375) / 400, atol=1e-6)
    assert torch.equal(datasets(reader)["train"][0].image, expected)


def test_a_window_goes_with_copied_images_and_coco_has_none(tmp_path: Path) -> None:
    words = [word for word in signed(tmp_path / "in") if "channels" not in word]
    _, (reader,) = run(words, tmp_path / "out", "folder")
    assert "dataset.window=[40.0625,400]" in reader
    assert torch.equal(datasets(reader)["train"][0].image, datasets(words)["train"][0].image)
    with pytest.raises(UserError, match=r"dataset\.window: .*; type form=folder"):
        run(words, tmp_path / "coco", "coco")
    assert not (tmp_path / "coco").exists()


def test_validation_has_the_white_of_training(tmp_path: Path) -> None:
    for split, highest in (("train2017", 4000), ("val2017", 900)):
        coco_tree.tree(tmp_path / "in", split)
        coco_tree.darken(tmp_path / "in", split, highest)
    _, (back,) = run(["dataset=coco_instances", f"dataset.root={tmp_path / 'in'}"], tmp_path / "out", "coco")
    image = datasets(back, ("valid",))["valid"][0].image
    assert float(image.max()) == pytest.approx(900 / 4095)
