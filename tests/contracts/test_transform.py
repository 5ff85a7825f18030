"""Every transform option moves every annotation, at any size, and gives equal sizes where data.crop is set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator

from densepred.build.instantiate import build
from densepred.dataset.shapes import Shapes
from densepred.loader.crops import cut_out
from densepred.transform.pipeline import Pipeline
from tests import cases, companions
from tests.transform.test_deferral import compare

Plain = Callable[..., dict[str, Any]]
LIKE = [(None, (64, 80)), (None, (1, 1)), ((32, 48), (37, 45)), ((32, 48), (64, 80))]
"""Crops and sizes that `make test` leaves to `make test-slow`."""
OPTIONS = sorted(path.stem for path in Path(__file__).parents[2].glob("configs/transform/*.yaml"))


@pytest.mark.parametrize("option", [option for option in OPTIONS if companions.task(f"transform/{option}") != "pose"])
@pytest.mark.parametrize(("crop", "size"), [(None, (37, 45)), ((32, 48), (1, 1)), *map(cases.slow, LIKE)])
def test_every_option_moves_everything_together(
    option: str, crop: tuple[int, int] | None, size: tuple[int, int], plain: Plain
) -> None:
    text = "null" if crop is None else f"[{crop[0]},{crop[1]}]"
    nodes = plain(f"transform={option}", f"data.crop={text}")["transform"]
    data = Shapes(split="train", size=size)
    for name in ("train", "valid"):
        pipeline = Pipeline([build(node) for node in nodes[name]], data.info.mirrored)
        for index in range(4):
            before = data[index]
            after = pipeline(before, Generator().manual_seed(index), lambda _: data[5])
            expected = crop if crop is not None and any("size" in node for node in nodes[name]) else size
            assert after.truth.size == expected
            assert after.image.shape == (3, *expected)
            assert after.image.dtype == before.image.dtype
            assert after.image.is_contiguous()
            assert after.frame.size == size
            again = pipeline(data[index], Generator().manual_seed(index), lambda _: data[5])
            assert torch.equal(after.image, again.image)
            for field in data.info.provides:
                assert getattr(after.truth, field) is not None
            count = len(after.truth.categories)  # type: ignore[arg-type]
            assert int(after.truth.instances.max()) <= count  # type: ignore[union-attr]


DEFERRED = {
    "copy_paste": ["Colour"],
    "cutmix": ["Colour"],
    "default": ["Crop", "Flip", "Colour"],
    "elastic": ["Crop", "Affine", "Flip", "Elastic", "Colour"],
    "pose": ["InstanceCrop", "Flip", "Colour"],
    "resize": ["Resize", "Flip", "Colour"],
    **{option: [] for option in ("heavy", "medical", "microscopy", "none", "strong")},
}
"""Transforms that `data.transform_on_device=true` leaves to the device: none if noise or JPEG are the last."""


@pytest.mark.parametrize("crop", ["null", "[40,56]"])
@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_defers_its_end_without_a_change_of_a_bit(option: str, crop: str, plain: Plain) -> None:
    nodes = plain(f"transform={option}", f"data.crop={crop}")["transform"]["train"]
    data = Shapes(split="train", size=(64, 80))
    pipeline = Pipeline([build(node) for node in nodes], data.info.mirrored)
    deferred = [type(step).__name__ for step in pipeline.deferrable()]
    assert deferred == DEFERRED.get(option, deferred)  # an option that is new may defer what it likes
    given = [data[index] for index in range(4)]
    if option == "pose":
        given = [cut_out(one, one.truth, one.truth.labelled_rows()[0]) for one in given]
    compare(pipeline, given, 0, lambda _: data[5])
