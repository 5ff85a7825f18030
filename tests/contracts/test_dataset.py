"""Every dataset option builds, describes its classes and yields what it promises."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from densepred.build.instantiate import build
from densepred.contracts import Dataset
from densepred.types import Info, Sample
from tests.dataset import coco_tree, mpii_tree

Plain = Callable[..., dict[str, Any]]
OPTIONS = sorted(path.stem for path in Path(__file__).parents[2].glob("configs/dataset/*.yaml"))


def picture(path: Path, channels: int = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).integers(0, 256, (37, 45, 3), dtype=np.uint8)
    Image.fromarray(values if channels == 3 else values[..., 0]).save(path)


def labels(path: Path, classes: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((np.arange(37 * 45) % classes).reshape(37, 45).astype(np.uint8)).save(path)


def draw_tree(option: str, root: Path) -> None:
    """A tree that the option can read, with one image a split."""
    for split in ("train", "val", "test"):
        if option == "voc":
            lists = root / "ImageSets/Segmentation"
            lists.mkdir(parents=True, exist_ok=True)
            (lists / f"{split}.txt").write_text(f"{split}\n")
            picture(root / f"JPEGImages/{split}.jpg")
            labels(root / f"SegmentationClass/{split}.png", 21)
        elif option == "cityscapes":
            picture(root / f"leftImg8bit/{split}/ulm/ulm_0_leftImg8bit.png")
            labels(root / f"gtFine/{split}/ulm/ulm_0_gtFine_labelIds.png", 34)
        elif option == "cityscapes_panoptic":
            picture(root / f"leftImg8bit/{split}/ulm/ulm_0_leftImg8bit.png")
            labels(root / f"gtFine/{split}/ulm/ulm_0_gtFine_instanceIds.png", 34)
        elif option in ("instance_folder", "nuclei"):
            picture(root / f"images/{split}/a.png")
            labels(root / f"instances/{split}/a.png", 5)
        elif option == "mpii":
            mpii_tree.tree(root, "valid" if split == "val" else split)
        elif option.startswith("coco_"):
            coco_tree.tree(root, split)
        else:
            picture(root / f"images/{split}/a.png", 1 if option == "isbi" else 3)
            labels(root / f"masks/{split}/a.png", 2)


@pytest.mark.parametrize("option", OPTIONS)
def test_every_split_yields_what_the_description_promises(option: str, tmp_path: Path, plain: Plain) -> None:
    draw_tree(option, tmp_path)
    overrides = [f"dataset={option}"] + ([f"dataset.root={tmp_path}"] if option != "shapes" else [])
    factory = build(plain(*overrides)["dataset"])
    infos = []
    for split in ("train", "valid", "test"):
        data = factory(split=split)
        assert isinstance(data, Dataset)
        assert len(data) > 0
        check(data[0], data.info)
        infos.append(data.info)
    assert infos[0] == infos[1] == infos[2]
    assert Info.from_json(json.loads(json.dumps(infos[0].to_json()))) == infos[0]


def check(sample: Sample, info: Info) -> None:
    size = sample.truth.size
    assert sample.image.dtype in (torch.uint8, torch.float32)
    assert sample.image.shape == (info.channels, *size)
    assert sample.image.is_contiguous()
    assert sample.frame.size == size
    assert len(info.palette) == len(info.classes)
    for name in info.provides:
        assert getattr(sample.truth, name) is not None
    semantic = sample.truth.semantic
    if "semantic" not in info.provides:
        return
    assert semantic is not None
    assert semantic.dtype == torch.uint8
    assert semantic.shape == size
    assert set(semantic.unique().tolist()) <= {*range(len(info.classes)), 255}
