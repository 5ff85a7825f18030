"""Masks of formats that store ids as shares of white."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densepred.dataset.image import read_image
from densepred.dataset.mask import read_mask
from densepred.types import UserError


@pytest.mark.parametrize("white", [3, 4095])
def test_a_pgm_mask_that_would_be_scaled_is_refused(tmp_path: Path, white: int) -> None:
    kind = ">u2" if white > 255 else "u1"
    for greatest in (white, 65535 if white > 255 else 255):
        (tmp_path / "a.pgm").write_bytes(b"P5 4 1 %d\n" % greatest + np.array([0, 1, 2, 3], kind).tobytes())
        if greatest != white:
            assert read_mask(tmp_path / "a.pgm").tolist() == [[0, 1, 2, 3]]
            continue
        with pytest.raises(UserError, match=rf"the mask declares {white} as white, so values are scaled.*save the ids"):
            read_mask(tmp_path / "a.pgm")


@pytest.mark.parametrize(("bits", "factor"), [(2, 85), (4, 17)])
def test_a_grey_png_mask_of_few_bits_is_refused(tmp_path: Path, bits: int, factor: int) -> None:
    image = Image.fromarray(np.array([[0, 1, 2, 3]], np.uint8), "P")
    image.putpalette(list(range(3 * 2**bits)))
    image.save(tmp_path / "palette.png", bits=bits)
    assert read_mask(tmp_path / "palette.png").tolist() == [[0, 1, 2, 3]]
    data = (tmp_path / "palette.png").read_bytes()
    header = data[12:25] + b"\0" + data[26:29]  # grey in place of a palette
    grey = data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:]
    (tmp_path / "grey.png").write_bytes(grey)
    with pytest.raises(UserError, match=rf"the mask has {bits} bits per pixel, so values are multiplied by {factor};"):
        read_mask(tmp_path / "grey.png")


@pytest.mark.parametrize("white", [4095, 65535])
def test_a_ppm_with_more_than_8_bits_is_refused(tmp_path: Path, white: int) -> None:
    (tmp_path / "a.ppm").write_bytes(b"P6 1 1 %d\n" % white + np.array([256, 300, 4095], ">u2").tobytes())
    with pytest.raises(UserError, match="has 16 bits per colour, but 8 are read; save it as"):
        read_image(tmp_path / "a.ppm")
