"""Rows of image files against the whole image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from densepred.dataset.image import read_image
from densepred.dataset.image_rows import Decoded, Rows, Stored, open_rows
from densepred.errors import UserError

COLOUR = np.random.default_rng(0).integers(0, 256, (23, 17, 3), np.uint8)
GREY = COLOUR[..., 0]
RGBA = np.concatenate([COLOUR, COLOUR[..., :1]], 2)
TURNED = Image.Exif()
TURNED[0x0112] = 6


def opened(path: Path, channels: int | None = None) -> Rows:
    rows = open_rows(path, channels)
    assert rows is not None
    return rows


@pytest.mark.parametrize(
    ("name", "values", "options", "kind"),
    [
        ("a.png", COLOUR, {}, Decoded),
        ("a.png", GREY, {}, Decoded),
        ("a.png", GREY > 99, {}, Decoded),
        ("a.png", RGBA, {}, Decoded),
        ("a.png", COLOUR, {"exif": TURNED}, None),
        ("a.png", GREY.astype(np.uint16) * 200, {}, None),
        ("a.jpg", COLOUR, {}, Decoded),
        ("a.bmp", COLOUR, {}, Decoded),
        ("a.ppm", COLOUR, {}, Stored),
        ("a.pgm", GREY, {}, Stored),
        ("a.tif", COLOUR, {}, Stored),
        ("a.tif", np.tile(COLOUR, (90, 70, 1)), {}, Stored),  # several strips
        ("a.tif", GREY, {}, Stored),
        ("a.tif", GREY, {"tiffinfo": {262: 0}}, Decoded),  # 0 is white
        ("a.tif", COLOUR, {"compression": "tiff_deflate"}, Decoded),
        ("a.tif", COLOUR, {"exif": TURNED}, None),
        ("a.tif", GREY, {"save_all": True, "append_images": [Image.fromarray(GREY)] * 2}, None),
        ("a.npy", COLOUR, {}, Stored),
        ("a.npy", GREY, {}, Stored),
        ("a.npy", np.asfortranarray(COLOUR), {}, None),
        ("a.npy", GREY / 255, {}, None),
    ],
)
def test_rows_are_those_of_the_whole_image(
    tmp_path: Path, name: str, values: np.ndarray, options: dict[str, Any], kind: type | None
) -> None:
    path = tmp_path / name
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        Image.fromarray(values).save(path, **options)
    whole = read_image(path)
    if kind is None:
        assert open_rows(path) is None
        return
    rows = opened(path)
    assert isinstance(rows, kind)
    assert rows.size == tuple(whole.shape[-2:])
    for start, stop in ((0, rows.size[0]), (0, 1), (5, 12), (rows.size[0] - 3, rows.size[0])):
        assert torch.equal(rows.read(start, stop), whole[:, start:stop])
    for channels in (1, 3) if len(whole) in (1, 3) else ():
        assert torch.equal(opened(path, channels).read(2, 9), read_image(path, channels)[:, 2:9])


def test_what_cannot_be_read_is_refused_at_once(tmp_path: Path) -> None:
    np.save(tmp_path / "five.npy", np.zeros((9, 9, 5), np.uint8))
    with pytest.raises(UserError, match=r"five.npy: has 5 channels where 3 are needed"):
        open_rows(tmp_path / "five.npy", 3)
    for name in ("cut.tif", "cut.png"):
        Image.fromarray(np.tile(COLOUR, (9, 9, 1))).save(tmp_path / name)
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) * 2 // 3])
        with pytest.raises(UserError, match=name):
            open_rows(tmp_path / name)
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="is 391 pixels, more than 100"):
        open_rows(tmp_path / "a.png", max_pixels=100)


def test_a_file_that_becomes_shorter_is_named(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.tif")
    rows = opened(tmp_path / "a.tif")
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:400])
    with pytest.raises(UserError, match=r"a\.tif: ends in the middle of its pixels"):
        rows.read(10, 23)
