"""PNG files that are written row by row, as Pillow reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from densepred.results.files import id_colours, indexed
from densepred.results.png_rows import PngRows
from densepred.types import VOID, Info

DRAW = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("values", "palette", "mode"),
    [
        (DRAW.integers(0, 3, (11, 7), np.uint8), [(1, 2, 3), (4, 5, 6), (7, 8, 9)], "P"),
        (DRAW.integers(0, 256, (11, 7, 3), np.uint8), None, "RGB"),
        (DRAW.integers(0, 65536, (11, 7), np.uint16), None, "I;16"),
        (DRAW.integers(0, 256, (11, 1), np.uint8), None, "L"),
    ],
)
def test_pillow_reads_what_was_added(tmp_path: Path, values: np.ndarray, palette: list | None, mode: str) -> None:
    with PngRows(tmp_path / "a.png", palette) as png:
        for start in (0, 1, 6):
            png.add(values[start : {0: 1, 1: 6, 6: 11}[start]])
        png.add(values[:0])
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == mode
        assert np.array_equal(np.asarray(image), values)
        if palette is not None:
            assert image.getpalette("RGB") == [value for colour in palette for value in colour]


def test_an_error_leaves_no_end(tmp_path: Path) -> None:
    png = PngRows(tmp_path / "a.png")
    png.add(np.zeros((2, 2), np.uint8))
    png.__exit__(KeyError, KeyError(), None)
    assert b"IEND" not in (tmp_path / "a.png").read_bytes()


@pytest.mark.parametrize("colours", [0, 1, 2, 20])
def test_class_maps_keep_their_ids_whatever_colours_are_known(tmp_path: Path, colours: int) -> None:
    info = Info(tuple(map(str, range(20))), palette=tuple((c, 9, 9) for c in range(colours)))
    labels = torch.arange(24).reshape(4, 6).remainder(20).to(torch.uint8)
    for changed in (labels, torch.where(labels == 3, VOID, labels)):
        indexed(changed.numpy(), info).save(tmp_path / "a.png")
        with PngRows(tmp_path / "b.png", id_colours(info)) as png:
            png.add(changed.numpy())
        for name in ("a.png", "b.png"):
            with Image.open(tmp_path / name) as image:
                assert np.array_equal(np.asarray(image), changed.numpy())
