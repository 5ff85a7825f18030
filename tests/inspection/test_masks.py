"""Masks that a folder refuses are findings; with the override typed, the finding is gone and a training would run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densepred.dataset.folder import Folder
from densepred.dataset.pairs import Pair
from densepred.errors import UserError
from densepred.inspection.edges import better
from densepred.inspection.masks import MANY, colours, diagnose, look
from densepred.types import MAX_CLASSES
from tests.dataset.files import write
from tests.inspection.drawn import check, draw, found

HALF = (np.arange(64 * 64) % 2).reshape(64, 64).astype(np.uint8)
DISC = ((np.mgrid[:64, :64] - 32) ** 2).sum(0) < 400
SMOOTH = np.asarray(Image.fromarray(np.kron(DISC, np.ones((4, 4), np.uint8)) * np.uint8(255)).resize((64, 64), 2))
COLOURS = np.array([[0, 0, 0], [128, 0, 0]], np.uint8)

FAULTS = {
    "binary_masks": {"train/0": HALF * 255, "train/1": HALF * 255, "train/2": HALF * 255, "val/0": HALF * 255},
    "mixed_masks": {"train/1": HALF * 255},
    "void_label": {"train/1": np.where(DISC, 255, HALF)},
    "gaps_in_labels": {"train/0": HALF * 7, "val/1": HALF * 9},
    "blended_masks": {"train/0": SMOOTH, "val/2": SMOOTH},
    "colour_masks": {"train/0": COLOURS[HALF], "train/2": COLOURS[HALF], "val/1": COLOURS[HALF]},
}


@pytest.mark.parametrize("kind", FAULTS)
def test_the_override_reads_masks_that_were_refused(tmp_path: Path, kind: str) -> None:
    draw(tmp_path)
    if kind == "binary_masks":
        for split in ("train", "val"):
            for index in range(3):
                write(tmp_path / f"masks/{split}/{index}.png", HALF * 255)
    for name, mask in FAULTS[kind].items():
        write(tmp_path / f"masks/{name}.png", mask.astype(np.uint8))
    code, first = found(tmp_path)
    assert (code, first[kind]["level"]) == (2, "error")
    assert {f"masks/{name}.png" for name in FAULTS[kind]} <= {
        str(Path(name).relative_to(tmp_path)) for name in first[kind]["samples"]
    }
    assert not {"unreadable", "unknown_labels"} & first.keys()  # the rest of the report is that of readable masks
    code, again = found(tmp_path, str(first[kind]["override"]))
    assert code == 0
    assert kind not in again


@pytest.mark.parametrize("ids", [(0, 255), (0, 1, 255), (0, 7, 255), (0, 3)], ids=str)
def test_training_and_the_check_give_one_remedy(tmp_path: Path, ids: tuple[int, ...]) -> None:
    draw(tmp_path)
    for split in ("train", "val"):
        for index in range(3):
            write(tmp_path / f"masks/{split}/{index}.png", np.resize(np.array(ids, np.uint8), (64, 64)))
    code, first = found(tmp_path)
    (error,) = [one for one in first.values() if one["level"] == "error"]
    assert code == 2
    with pytest.raises(UserError) as caught:
        Folder(str(tmp_path), "train")
    assert error["override"] in str(caught.value)
    if ids == (0, 255):  # also if the classes are given
        assert found(tmp_path, "dataset.classes=[a,b]")[1]["unknown_labels"]["override"] == error["override"]


def test_a_damaged_mask_is_a_finding_and_the_others_are_read(tmp_path: Path) -> None:
    draw(tmp_path)
    (tmp_path / "masks/train/1.png").write_bytes(b"no image")
    code, first = found(tmp_path)
    assert code == 2
    assert first["unreadable"]["samples"] == [str(tmp_path / "images/train/1.png")]
    assert "masks/train/1.png" in str(first["unreadable"]["fact"])


def test_masks_without_partners_are_all_listed(tmp_path: Path) -> None:
    draw(tmp_path)
    for index in range(2):
        (tmp_path / f"images/val/{index}.png").unlink()
    code, first = found(tmp_path)
    assert code == 2
    assert first["unpaired"]["samples"] == [str(tmp_path / f"masks/val/{index}.png") for index in range(2)]


def test_ids_of_no_class_are_counted_and_void_once_the_override_is_typed(tmp_path: Path) -> None:
    draw(tmp_path)
    write(tmp_path / "masks/train/0.png", np.where(DISC, 5, HALF).astype(np.uint8))
    write(tmp_path / "masks/train/1.png", np.where(DISC, 9, HALF).astype(np.uint8))
    code, first = found(tmp_path, "dataset.classes=2")
    assert (code, first["unknown_labels"]["count"]) == (2, 2)
    code, again = found(tmp_path, f"dataset.classes=2 {first['unknown_labels']['override']}")
    assert (code, "unknown_labels" in again) == (0, False)


def test_a_turned_image_gets_the_orientation_that_its_edges_show(tmp_path: Path) -> None:
    draw(tmp_path)
    corner = np.zeros((64, 64), np.uint8)
    corner[:20, :30] = 1
    exif = Image.Exif()
    exif[0x0112] = 3
    write(tmp_path / "images/train/0.png", corner * 200, exif=exif)
    for how, mask in (("stored", corner), ("upright", corner[::-1, ::-1])):
        write(tmp_path / "masks/train/0.png", np.ascontiguousarray(mask))
        code, first = found(tmp_path)
        assert (code, first["orientation"]["override"]) == (2, f"dataset.exif={how}")
        code, again = found(tmp_path, f"dataset.exif={how}")
        assert (code, "orientation" in again) == (0, False)


def test_an_image_without_edges_shows_no_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    write(tmp_path / "a.png", np.full((8, 8), 9, np.uint8), exif=exif)
    write(tmp_path / "m.png", np.eye(8, dtype=np.uint8))
    assert better(Pair("a", tmp_path / "a.png", tmp_path / "m.png"), 100) is None


def test_of_many_colours_those_with_an_area_count() -> None:
    ramp = np.zeros((9, 120, 3), np.uint8)
    ramp[:, :40, 0] = 255
    ramp[:, 40:80, 1] = np.arange(40) * 6 + 1
    assert len(np.unique(ramp.reshape(-1, 3), axis=0)) == 42 < MANY
    ramp[0, :, 2] = np.arange(120) + 3
    assert set(colours(ramp)) == {0xFF0000, 0x000000}


def test_more_colours_than_classes_need_another_folder(tmp_path: Path) -> None:
    blocks = np.kron(np.arange(17 * 17).reshape(17, 17), np.ones((3, 3), int))
    write(tmp_path / "a.png", np.stack([blocks % 256, blocks // 256, blocks * 0], -1).astype(np.uint8))
    fault = diagnose([look(str(tmp_path / "a.png"), 10**6)])
    assert fault is not None
    assert MAX_CLASSES < 17 * 17
    assert not fault.needed
    assert "dataset.masks" in fault.finding().remedy


def test_a_colour_table_reads_the_same_classes_as_ids(tmp_path: Path) -> None:
    write(tmp_path / "images/train/a.png", HALF)
    write(tmp_path / "masks/train/a.png", COLOURS[HALF])
    fault = diagnose([look(str(tmp_path / "masks/train/a.png"), 10**6)])
    assert fault is not None
    labels = Folder(str(tmp_path), **fault.settings)[0].truth.semantic
    assert labels is not None
    assert labels.tolist() == HALF.tolist()


def test_the_command_writes_the_classes_that_masks_in_colours_need(tmp_path: Path) -> None:
    draw(tmp_path)
    for split in ("train", "val"):
        for index in range(3):
            write(tmp_path / f"masks/{split}/{index}.png", COLOURS[HALF])
    assert check(tmp_path, f"classes_json={tmp_path}/classes.json")[0] == 2
    code, again = check(tmp_path)
    assert (code, "colour_masks" in again) == (0, False)
    assert Folder(str(tmp_path)).info.palette == ((0, 0, 0), (128, 0, 0))


def test_masks_that_are_read_are_no_fault_of_a_split_without_a_fraction(tmp_path: Path) -> None:
    draw(tmp_path)
    for index in range(3):
        write(tmp_path / f"masks/train/{index}.png", COLOURS[HALF])
    (tmp_path / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nroad:0,0,0::\nsky:128,0,0::\n")
    words = (
        "dataset.images=images/train dataset.masks=masks/train 'dataset.splits={train: 0.5, valid: 0.5, test: test}'"
    )
    code, again = found(tmp_path, words)
    assert (code, {kind for kind, one in again.items() if one["level"] == "error"}) == (0, set())
    assert "of which test has none" in again["no_test"]["fact"]
