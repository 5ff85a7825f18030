"""Instances of a large image that are formed in blocks, against the files of the whole image.

The model copies channels of the image, so that its receptive field is a pixel and windows see what the image shows.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as rle
from torch import Tensor

from densepred.codec.components import Components
from densepred.codec.panoptic import Panoptic
from densepred.contracts import Codec, Model
from densepred.dataset.image_rows import Loaded
from densepred.engine import row_blocks
from densepred.engine.amp import Precision
from densepred.engine.sliding import Windows
from densepred.errors import Notice
from densepred.loss.ce import CrossEntropy
from densepred.loss.mse import MeanSquaredError
from densepred.metric.confusion import Confusion
from densepred.predictor import Predictor
from densepred.results import by_rows
from densepred.results.files import OverlaySettings, Results
from densepred.results.joined import Masks
from densepred.task import Task
from densepred.transform.pipeline import Pipeline
from densepred.types import Annotation, Info

TILE = 32
SIZE = (190, 365)
INFO = Info(
    classes=("sky", "grass", "cow", "sheep"),
    things=(2, 3),
    palette=((0, 0, 0), (0, 120, 0), (200, 0, 0), (0, 0, 200)),
    provides=("semantic", "instances", "categories"),
)
CPU = torch.device("cpu")


class Copy(Model):
    """Heads are channels of the image, one after another."""

    def __init__(self, heads: dict[str, Any]) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        parts = image.split([spec.channels for spec in self.heads.values()], 1)
        return {name: [part] for name, part in zip(self.heads, parts, strict=True)}


def scene(seed: int = 0) -> Annotation:
    """Draw ellipses of two classes that do not touch, one on a corner of four windows, over two classes of stuff."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[: SIZE[0], : SIZE[1]]
    ids = np.zeros(SIZE, np.int32)
    centers = [
        (TILE * 3 / 2, TILE * 2.0, 14, 11),
        *zip(*(rng.uniform(5, n, 80) for n in SIZE), *rng.uniform(2, 14, (2, 80)), strict=True),
    ]
    kinds = []
    for y, x, high, wide in centers:
        inside = ((down - y) / high) ** 2 + ((across - x) / wide) ** 2 <= 1
        beside = ((down - y) / (high + 2)) ** 2 + ((across - x) / (wide + 2)) ** 2 <= 1
        if not ids[beside].any() and inside.sum() > 4:
            kinds.append(2 + len(kinds) % 2)
            ids[inside] = len(kinds)
    labels = np.where(across < 100, 0, 1).astype(np.uint8)
    labels[ids > 0] = np.array(kinds)[ids[ids > 0] - 1]
    return Annotation(SIZE, torch.from_numpy(labels), torch.from_numpy(ids), torch.tensor(kinds))


def predicting(codec: Any) -> tuple[Predictor, Tensor]:
    """Return a predictor and an image (C, H, W) that holds the outputs of a perfect model."""
    made: Codec = codec(info=INFO)
    losses = {
        name: CrossEntropy() if spec.kind == "classes" else MeanSquaredError() for name, spec in made.heads.items()
    }
    task = Task(INFO, codec, losses, metrics={"confusion": Confusion})
    targets = {name: value[None] for name, value in made.encode(scene()).items()}
    outputs = made.perfect_outputs(targets)
    image = torch.cat([outputs[name][0].float() for name in made.heads])
    info = replace(INFO, channels=len(image), mean=(0.0,) * len(image), std=(1.0,) * len(image))
    task.info = replace(info)
    return Predictor(Copy(made.heads), task, Pipeline([]), CPU, Precision("fp32", CPU)), image


def written(folder: Path, model: Predictor, image: Tensor, tile: int | None) -> dict[str, Any]:
    results = Results(folder, INFO, OverlaySettings(probabilities=True, uncertainty=True))
    if tile is None:
        results.add(Path("a"), 7, "a.png", image, model(image, probabilities=True, ready=True))
    else:
        rows, windows = Loaded(image), Windows(tile, 0.5, "gaussian")
        plan = model.blocks(rows.size)
        assert plan is not None
        found = model.instances(rows, windows, plan, probabilities=True)
        by_rows.write_instances(results, (Path("a"), 7, "a.png"), rows, plan, found, tile)
    results.join([Path("a")])
    files: dict[str, Any] = {}
    for path in sorted(folder.rglob("*.*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".json":
            files[name] = json.loads(path.read_text())
        else:
            files[name] = np.load(path) if path.suffix == ".npy" else np.asarray(Image.open(path))
    return files


def instances(entries: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((one["segmentation"]["counts"], one["category_id"], round(one["score"], 4)) for one in entries)


CODECS = {
    "components": lambda info: Components(info),
    "components with holes": lambda info: Components(info, holes=20, min_area=9, connectivity=8),
    "panoptic": lambda info: Panoptic(info, sigma=2.0, thing_area=30, stuff_area=0.3),
    "things": lambda info: Panoptic(info, sigma=2.0, stuff=False),
}


@pytest.mark.parametrize("name", CODECS)
def test_files_of_blocks_are_those_of_the_whole_image(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_blocks, "ELEMENTS", 1)
    monkeypatch.setattr(by_rows, "STRIP", 17 * SIZE[1])
    model, image = predicting(CODECS[name])
    whole, parts = (written(tmp_path / str(tile), model, image, tile) for tile in (None, TILE))
    assert list(whole) == list(parts)
    assert len(whole["instances.json"]) > 15
    one, other = (instances(files["instances.json"]) for files in (whole, parts))
    assert [entry[:2] for entry in one] == [entry[:2] for entry in other]
    # Objects are nearly as high as windows, so some at a line between blocks are cut in both
    assert sum(a[2] != b[2] for a, b in zip(one, other, strict=True)) <= (2 if "components" not in name else 0)
    one, other = whole["instances/a.png"], parts["instances/a.png"]
    pairs = set(zip(one.reshape(-1).tolist(), other.reshape(-1).tolist(), strict=True))
    assert len(pairs) == len(whole["instances.json"]) + 1
    if name != "things":
        assert np.array_equal(whole["labels/a.png"], parts["labels/a.png"])
        segments = [
            sorted(
                (e["category_id"], e["area"], e["bbox"])
                for e in files["panoptic.json"]["annotations"][0]["segments_info"]
            )
            for files in (whole, parts)
        ]
        assert segments[0] == segments[1]
    for kind, step in (("probabilities/a.npy", 2e-3), ("uncertainty/a.png", 1.01)):
        assert np.abs(whole[kind].astype(float) - parts[kind].astype(float)).max() < step


def test_an_overlay_has_the_outlines_of_the_whole_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_blocks, "ELEMENTS", 1)
    monkeypatch.setattr(by_rows, "STRIP", SIZE[1])  # a row at a time
    model, image = predicting(CODECS["components"])
    ids, picture = (
        written(tmp_path / "out", model, image, TILE)[f"{kind}/a.png"] for kind in ("instances", "overlays")
    )
    white = (picture == 255).all(2)
    edge = np.zeros(SIZE, bool)
    edge[1:] |= ids[1:] != ids[:-1]
    edge[:-1] |= ids[1:] != ids[:-1]
    edge[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    edge[:, :-1] |= ids[:, 1:] != ids[:, :-1]
    assert np.array_equal(white, edge & (ids > 0))


def test_a_notice_counts_instances_higher_than_a_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_blocks, "ELEMENTS", 1)
    model, image = predicting(CODECS["panoptic"])
    with pytest.warns(Notice, match="tile=8: .* instances are higher and lie in two blocks of rows"):
        written(tmp_path / "out", model, image, 8)


def test_masks_are_those_of_pycocotools() -> None:
    ids = np.random.default_rng(0).integers(0, 4, (23, 17)).astype(np.int32)
    ids[:, 5:9] = 4  # whole columns: runs touch across them
    boxes = np.array(
        [[x.min(), y.min(), x.max() + 1, y.max() + 1] for y, x in (np.nonzero(ids == i) for i in range(1, 5))]
    )
    joined: Any = type("Joined", (), {"areas": np.ones(4), "boxes": boxes.astype(np.float32) - 0.5})
    masks = Masks((23, 17), joined)
    for start in range(0, 23, 5):
        masks.add(start, ids[start : start + 5])
    expected = [rle.encode(np.asfortranarray(ids == index, np.uint8)) for index in range(1, 5)]
    assert masks.masks == expected
