"""VOC and Cityscapes in small trees like the official ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from densepred.dataset.cityscapes import Cityscapes
from densepred.dataset.mapillary import version_of
from densepred.dataset.palette import voc_palette
from densepred.dataset.voc import Voc
from densepred.types import VOID, UserError
from tests.dataset import cityscapes_tree

RANDOM = np.random.default_rng(0)


def picture() -> Image.Image:
    return Image.fromarray(RANDOM.integers(0, 256, (37, 45, 3), dtype=np.uint8))


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("2007_000032", "2007_000039", "2007_000063"):
        picture().save(tmp_path / f"JPEGImages/{name}.jpg")
        labels = RANDOM.integers(0, 21, (37, 45)).astype(np.uint8)
        labels[0] = VOID
        image = Image.fromarray(labels, "P")
        image.putpalette([value for colour in voc_palette(256) for value in colour])
        image.save(tmp_path / f"SegmentationClass/{name}.png")
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("2007_000032\n2007_000063\n")
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("2007_000039\n")
    return tmp_path


def test_voc_reads_masks_in_its_colours(voc: Path) -> None:
    """Programs that save the palette's colours instead of its ids."""
    path = voc / "SegmentationClass/2007_000039.png"
    as_ids = Voc(str(voc), split="valid")[0].truth.semantic
    Image.open(path).convert("RGB").save(path)
    as_colours = Voc(str(voc), split="valid")[0].truth.semantic
    assert as_ids is not None
    assert as_colours is not None
    assert torch.equal(as_ids, as_colours)


def test_voc_is_read_by_its_lists(voc: Path) -> None:
    train, valid = Voc(str(voc), split="train"), Voc(str(voc), split="valid")
    assert [train[i].frame.id for i in range(2)] == ["2007_000032", "2007_000063"]
    assert len(valid) == 1
    expected = np.array(Image.open(voc / "SegmentationClass/2007_000039.png"))
    assert torch.equal(valid[0].truth.semantic, torch.from_numpy(expected))
    assert len(train.info.classes) == 21
    assert train.info.palette[15] == (192, 128, 128)  # person
    assert train.info.palette[20] == (0, 64, 128)  # tvmonitor
    with pytest.raises(UserError, match=r"ImageSets.*VOC2012"):
        Voc(str(voc / "JPEGImages"))


def test_an_image_that_a_list_names_twice_is_refused(voc: Path) -> None:
    path = voc / "ImageSets/Segmentation/train.txt"
    path.write_text(f"\n{path.read_text().strip()}\n" * 2)
    with pytest.raises(UserError, match=r"train\.txt: line .: names '.*' again, as line 2 does; remove one"):
        Voc(str(voc))


def test_cityscapes_ids_become_train_ids(tmp_path: Path) -> None:
    for city, frame in (("aachen", "000000_000019"), ("bremen", "000001_000019")):
        name = f"{city}_{frame}"
        for folder in (f"leftImg8bit/train/{city}", f"gtFine/train/{city}"):
            (tmp_path / folder).mkdir(parents=True)
        picture().save(tmp_path / f"leftImg8bit/train/{city}/{name}_leftImg8bit.png")
        ids = (np.arange(37 * 45) % 34).reshape(37, 45).astype(np.uint8)
        Image.fromarray(ids).save(tmp_path / f"gtFine/train/{city}/{name}_gtFine_labelIds.png")
        Image.fromarray(ids).save(tmp_path / f"gtFine/train/{city}/{name}_gtFine_instanceIds.png")
    data = Cityscapes(str(tmp_path))
    assert [pair.id for pair in data.pairs] == ["aachen/aachen_000000_000019", "bremen/bremen_000001_000019"]
    semantic = data[0].truth.semantic
    assert semantic is not None
    official = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13}
    official |= {27: 14, 28: 15, 31: 16, 32: 17, 33: 18}
    assert [int(semantic.flatten()[i]) for i in range(34)] == [official.get(i, VOID) for i in range(34)]
    assert data.info.classes[11] == "person"
    assert data.info.palette[11] == (220, 20, 60)


def test_the_palette_is_the_official_one() -> None:
    assert voc_palette(9) == (
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
        (128, 128, 0),
        (0, 0, 128),
        (128, 0, 128),
        (0, 128, 128),
        (128, 128, 128),
        (64, 0, 0),
    )
    assert len(set(voc_palette(255))) == 255


def test_cityscapes_names_the_files_that_it_looks_for(tmp_path: Path) -> None:
    cityscapes_tree.tree(tmp_path, "train")
    (path,) = tmp_path.rglob("*_labelIds.png")
    path.rename(str(path).replace("labelIds", "labelTrainIds"))
    with pytest.raises(UserError, match=r"gtFine/train: holds no \*_gtFine_labelIds\.png; "):
        Cityscapes(str(tmp_path))


def test_a_version_of_mapillary_is_typed_as_a_word_or_a_number() -> None:
    assert [version_of(one) for one in ("v1.2", "1.2", 1.2)] == ["v1.2"] * 3
    assert [version_of(one) for one in ("v2.0", 2.0)] == ["v2.0"] * 2
    for unknown in (1.3, "new"):
        with pytest.raises(UserError, match=r"dataset\.version: .*choose one of v1\.2, v2\.0"):
            version_of(unknown)
