"""Faults drawn into a small tree are found, and gone once their remedy is typed or followed."""

from __future__ import annotations

import base64
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from densepred.inspection import classes, images, inspect, page, report
from densepred.inspection.facts import Facts
from densepred.inspection.finding import Finding
from tests import forked
from tests.dataset import coco_tree, folder_tree
from tests.inspection.drawn import check, draw, found, inspected


def test_a_sound_tree_has_no_fault(tmp_path: Path) -> None:
    draw(tmp_path)
    code, found = check(tmp_path)
    assert code == 0
    assert [kind for kind, one in found.items() if one["level"] != "note"] == []
    assert set(found) == {"no_test"}


def test_a_batch_is_suggested_where_nothing_ends_a_training(tmp_path: Path) -> None:
    draw(tmp_path)
    code, out, errors = forked.run("check", "dataset=folder", "dataset.root=.", "data.workers=0", folder=tmp_path)
    assert code == 0, errors
    assert re.search(r"suggested batch at most 2: task=semantic needs about [\d.]+ MiB per image of 64x64, ", out)


def test_images_of_two_sizes_get_a_crop_that_fits(tmp_path: Path) -> None:
    draw(tmp_path)
    for folder in ("images", "masks"):
        path = tmp_path / folder / "train" / "0.png"
        with Image.open(path) as image:
            larger = image.resize((96, 96), Image.Resampling.NEAREST)
        larger.save(path)
    code, found = check(tmp_path)
    assert code == 2
    assert found["sizes"]["samples"] == ["0"]
    code, again = check(tmp_path, *shlex.split(str(found["sizes"]["override"])))
    assert code == 0
    assert "sizes" not in again


def test_the_check_goes_on_with_the_words_of_the_layout_that_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path)
    for split in ("train", "val"):
        (tmp_path / f"images/{split}").rename(tmp_path / f"{split}_imgs")
        (tmp_path / f"masks/{split}").rename(tmp_path / f"{split}_labels")
    code, faults = found(tmp_path)
    assert "note: read as dataset=folder " in capsys.readouterr().err  # before all images are read
    option, _, words = str(faults["layout"]["override"]).partition(" ")
    assert (code, option) == (2, "dataset=folder")
    code, again = found(tmp_path, words)
    assert (code, again) == (0, {kind: one for kind, one in faults.items() if kind != "layout"})


def test_a_damaged_image_fails_unless_it_is_skipped(tmp_path: Path) -> None:
    draw(tmp_path)
    path = tmp_path / "images/train/1.png"
    path.write_bytes(path.read_bytes()[:-200])
    code, found = check(tmp_path)
    assert code == 2
    assert found["unreadable"]["samples"] == [str(path)]
    assert "data.on_bad=skip" in str(found["unreadable"]["remedy"])
    code, again = check(tmp_path, "data.on_bad=skip")
    assert (code, again["unreadable"]["level"]) == (0, "note")


def test_a_copy_in_another_split_is_found_though_it_was_compressed(tmp_path: Path) -> None:
    draw(tmp_path)
    with Image.open(tmp_path / "images/train/2.png") as image:
        image.save(tmp_path / "images/val/1.jpg", quality=60)
    (tmp_path / "images/val/1.png").unlink()
    _, faults = found(tmp_path)
    assert faults["near_duplicates"]["samples"] == ["1"]


def test_rare_missing_and_void_pixels(tmp_path: Path) -> None:
    draw(tmp_path)
    mask = np.zeros((64, 64), np.uint8)
    mask[:2] = 1
    for index in range(3):
        folder_tree.write(tmp_path / f"masks/train/{index}.png", mask)
        folder_tree.write(tmp_path / f"masks/val/{index}.png", np.zeros_like(mask))
    void = np.full_like(mask, 255)
    void[0] = 0
    folder_tree.write(tmp_path / "masks/val/1.png", void)
    _, found = check(tmp_path, "dataset.classes=2", "dataset.ignore_index=255")
    assert found["void"]["samples"] == ["1"]
    assert found["missing_classes"]["fact"] == "valid: 1 of 2 classes never occur and have no score: class_1"
    weights = re.search(r"class_weights=\[(.*)\]", str(found["rare_classes"]["override"]))
    assert weights is not None
    rare = 2 / 64  # share of the pixels; the median of two frequencies is their mean, 1/2
    assert [float(word) for word in weights[1].split(",")] == pytest.approx([0.5 / (1 - rare), 0.5 / rare], rel=5e-3)


def test_the_page_holds_thumbnails_and_loads_nothing(tmp_path: Path) -> None:
    draw(tmp_path)
    with Image.open(tmp_path / "images/train/2.png") as image:
        image.save(tmp_path / "images/val/1.png")
    check(tmp_path, "html=report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "data:image/jpeg;base64," in page
    assert "near_duplicates" in page
    assert not re.search(r"(src|href)=.?(http|//)|@import|<script", page)


def test_thumbnails_are_those_of_the_split_of_the_finding() -> None:
    facts = {"train": [Facts("b", thumbnail=b"dark")], "valid": [Facts("b", thumbnail=b"bright")]}
    found = [Finding("note", "k", f"{split}: sizes differ", "r", ("b",)) for split in ("valid", "train")]
    row = {"images": 1, "objects": None, "sizes": {}, "depths": [], "channels": [], "mean": [], "std": []}
    rows = {split: {**row, "crop": None, "stride": None} for split in facts}
    shown = re.findall(r"base64,([^\"]+)", page.page(report.Report(found, rows, [], [], facts), "t"))
    assert [base64.b64decode(one) for one in shown] == [b"bright", b"dark"]


def test_images_of_two_splits_that_look_alike_stand_beside_each_other() -> None:
    facts = {split: [Facts("b", thumbnail=split.encode())] for split in ("train", "valid")}
    found = Finding("warning", "k", "valid: looks like train", "r", ("b",), partners=(("train", "b"),))
    row = {"images": 1, "objects": None, "sizes": {}, "depths": [], "channels": [], "mean": [], "std": []}
    rows = {split: {**row, "crop": None, "stride": None} for split in facts}
    text = page.page(report.Report([found], rows, [], {}, facts), "t")
    assert [base64.b64decode(one) for one in re.findall(r"base64,([^\"]+)", text)] == [b"valid", b"train"]
    assert "<figcaption>train: b<" in text
    assert "<summary>1 sample</summary><ul><li>b = train: b<" in text
    assert "<th>stride" not in text


def test_a_format_that_there_is_not_is_refused(tmp_path: Path) -> None:
    code, _, errors = forked.run("check", "format=xml", folder=tmp_path)
    assert code == 2
    assert "text or json" in errors


def test_sizes_of_poses_are_a_note_because_instances_are_cropped() -> None:
    rows = [Facts("a", size=(64, 64)), Facts("b", size=(64, 96))]
    assert [one.level for one in images.findings("train", rows, cropped=False, poses=True)] == ["note"]
    assert [one.level for one in images.findings("train", rows, cropped=False)] == ["error"]
    assert not list(images.findings("train", rows, cropped=True))


def test_copies_within_a_split_are_a_note(tmp_path: Path) -> None:
    draw(tmp_path)
    with Image.open(tmp_path / "images/train/2.png") as image:
        image.save(tmp_path / "images/train/0.png")
    code, first = found(tmp_path)
    assert (code, sorted(first["alike_images"]["samples"])) == (0, ["0", "2"])


def test_the_suggested_stride_keeps_the_labels(tmp_path: Path) -> None:
    draw(tmp_path)
    report = inspected(tmp_path)
    assert report.splits["train"]["stride"] == 1  # columns of one pixel
    assert report.splits["train"]["depths"] == {"8 bits": 3}
    for path in (tmp_path / "masks").rglob("*.png"):
        folder_tree.write(path, np.kron(np.eye(8), np.ones((8, 8))).astype(np.uint8))
    assert inspected(tmp_path).splits["train"]["stride"] == 8


def test_one_finding_tells_the_layout_of_all_splits(tmp_path: Path) -> None:
    draw(tmp_path)
    for folder in ("images", "masks"):
        (tmp_path / folder / "train").rename(tmp_path / {"images": "photos", "masks": "labels"}[folder])
        shutil.rmtree(tmp_path / folder)
    code, faults = found(tmp_path)
    assert (code, [*faults]) == (2, ["layout", "refused", "no_test"])
    assert re.fullmatch(r".*images/train: is no folder; this looks like .* in labels", str(faults["layout"]["fact"]))
    assert "dataset.images=photos dataset.masks=labels" in faults["layout"]["override"]
    assert "valid=0.2 of 3 images is none" in faults["refused"]["fact"]


def test_a_folder_that_is_divided_at_random_gets_another_seed() -> None:
    def faults(node: Mapping[str, Any]) -> list[Finding]:
        rows = {
            "train": [Facts("a", size=(2, 5), pixels=(9, 1), void=0)],
            "valid": [Facts("b", size=(2, 5), pixels=(1, 9), void=0)],
        }
        return [one for one in classes.findings(["x", "y"], rows, node) if one.kind == "class_shift"]

    (whole,), (divided,) = faults({"splits": {"train": "train"}}), faults({"splits": {"train": 0.5}, "seed": 3})
    assert whole.override == ""  # fractions divide no splits that have files of their own
    assert "gather all images in one folder, or one file of annotations, and type 'dataset.splits=" in whole.remedy
    assert divided.override == "dataset.seed=4"


def test_lines_name_the_files_written_and_no_objects_of_class_maps(tmp_path: Path) -> None:
    draw(tmp_path)
    colours = np.array([[0, 0, 0], [200, 0, 0]], np.uint8)
    for path in tmp_path.glob("masks/*/*.png"):
        with Image.open(path) as mask:
            folder_tree.write(path, colours[np.asarray(mask)])
    words = ("dataset.root=.", "data.workers=0", "html=page.html", "classes_json=classes.json")
    code, out, errors = forked.run("check", "dataset=folder", *words, folder=tmp_path)
    assert code == 2, errors
    assert "densepred-check with classes_json=./classes.json writes the table" in out
    assert out.splitlines()[-2:] == [
        "  written to page.html",
        '  written to classes.json: edit the names, and add "ignore": true to a class that is void',
    ]
    assert "objects" not in out
    assert '  {"id": 1, "name": "color_c80000", "color": [200, 0, 0]}\n' in (tmp_path / "classes.json").read_text()
    page = (tmp_path / "page.html").read_text()
    assert '<span class="swatch" style="background:rgb(200,0,0)"></span>color_c80000' in page
    assert "objects" not in page


def test_a_sound_split_is_summed_up_and_an_unreadable_one_named(tmp_path: Path) -> None:
    draw(tmp_path)
    for index in range(3):
        (tmp_path / f"images/val/{index}.png").write_bytes(b"no image")
    text = report.text(inspected(tmp_path))
    assert "classes class_0 50.0%, class_1 50.0%\n" in text
    assert "  valid  3 images, none of which could be read\n" in text
    assert "sizes \n" not in text


def test_a_task_chooses_the_checks_and_is_refused_if_the_data_lacks_what_it_needs(tmp_path: Path) -> None:
    draw(tmp_path)
    words = ("dataset=folder", "dataset.root=.", "data.workers=0")
    assert forked.run("check", *words, "task=semantic", folder=tmp_path)[0] == 0
    code, out, _ = forked.run("check", *words, "task=detection_fcos", folder=tmp_path)
    assert code == 2
    assert "error: task: task=detection_fcos: it needs boxes" in out
    code, _, errors = forked.run("check", *words, "task=semantc", folder=tmp_path)
    assert code == 2
    assert "did you mean semantic?" in errors
    code, _, errors = forked.run("convert", *words, "task=semantic", "output=converted", folder=tmp_path)
    assert code == 0
    assert "task=semantic: has no effect" in errors


def test_all_faults_are_found_at_once_though_a_mask_is_missing(tmp_path: Path) -> None:
    draw(tmp_path)
    (tmp_path / "masks/train/2.png").unlink()
    damaged = tmp_path / "images/train/1.png"
    damaged.write_bytes(damaged.read_bytes()[:3000])
    for path in (tmp_path / "masks").rglob("*.png"):
        with Image.open(path) as mask:
            white = np.asarray(mask) * np.uint8(255)
        folder_tree.write(path, white)
    code, faults = found(tmp_path)
    assert code == 2
    assert {"unpaired", "unreadable", "binary_masks"} <= set(faults)
    assert "notice" not in faults
    assert faults["unpaired"]["samples"] == [str(tmp_path / "images/train/2.png")]
    for folder in ("images", "masks"):
        (tmp_path / folder / "train").rename(tmp_path / f"whole_{folder}")
    words = "dataset.images=whole_images dataset.masks=whole_masks '+dataset.splits={train: 0.5, valid: 0.5}'"
    code, faults = found(tmp_path, words)
    assert code == 2
    assert re.fullmatch(r"train, valid: .*: 1 image without a mask \('2'\)", str(faults["unpaired"]["fact"]))
    assert faults["unpaired"]["samples"] == [str(tmp_path / "whole_images/2.png")]


def test_validation_is_described_with_the_white_of_training(tmp_path: Path) -> None:
    for split, highest in (("train2017", 4000), ("val2017", 900)):
        coco_tree.tree(tmp_path, split)
        coco_tree.darken(tmp_path, split, highest)
    rows = inspected(tmp_path, option="coco_instances").splits
    assert rows["train"]["mean"] == pytest.approx([2000 / 4095] * 3, abs=1e-3)
    assert rows["valid"]["mean"] == pytest.approx([450 / 4095] * 3, abs=1e-3)


def test_remedies_name_settings_that_the_dataset_has() -> None:
    rows = {"train": [Facts("a", size=(4, 5), pixels=(1, 0), void=19)]}
    for node, named in (({"label_map": None}, True), ({}, False)):
        (found,) = (one for one in classes.findings(["a", "b"], rows, node) if one.kind == "void")
        assert ("dataset.label_map" in found.remedy) == named


def test_findings_come_in_the_order_of_the_splits() -> None:
    shares = {"train": (90, 10), "valid": (10, 90), "test": (20, 80)}
    for order in (("train", "valid", "test"), ("train", "test", "valid")):
        rows = {split: [Facts("a", size=(10, 10), pixels=shares[split], void=0)] for split in order}
        found = [one.fact.partition(":")[0] for one in classes.findings(["a", "b"], rows, {})]
        assert found == list(order[1:])


def test_a_folder_with_a_path_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    kinds = [one.kind for one in inspect._misnamed({"root": str(tmp_path / "a\udce9")})]
    assert kinds == ["root"]
    assert not list(inspect._misnamed({"root": str(tmp_path / "é")}))
