"""JPEG files give the same pixels, or the same error, with simplejpeg and with Pillow alone."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from densepred.dataset import jpeg_file
from densepred.dataset.image import read_image
from densepred.errors import UserError

simplejpeg = pytest.importorskip("simplejpeg")


def scene(height: int, width: int, mode: str) -> Image.Image:
    """Return smooth areas, edges and noise."""
    rng = np.random.default_rng(height * width)
    rows, columns = np.mgrid[:height, :width]
    values = np.stack([rows * 3, columns * 5, (rows // 7 + columns // 9) % 2 * 200], 2) + rng.integers(0, 40, (1, 1, 3))
    values[height // 2 :] += rng.integers(0, 30, (height - height // 2, width, 3))
    picture = Image.fromarray((values % 256).astype(np.uint8))
    return picture.convert(mode)


def both(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray | str]:
    found: list[np.ndarray | str] = []
    for installed in (True, False):
        monkeypatch.setattr(jpeg_file, "is_installed", lambda installed=installed: installed)
        try:
            found.append(read_image(path).numpy())
        except UserError as error:
            found.append(str(error))
    return found


@pytest.mark.parametrize(
    ("mode", "size", "options"),
    [
        ("L", (37, 53), {}),
        ("RGB", (64, 48), {"subsampling": 0}),
        ("RGB", (33, 47), {"subsampling": 1}),
        ("RGB", (31, 1), {"subsampling": 2}),
        ("RGB", (45, 71), {"subsampling": 2, "quality": 5}),
        ("RGB", (45, 71), {"progressive": True, "quality": 100}),
        ("RGB", (40, 40), {"keep_rgb": True}),
        ("RGB", (64, 64), {"restart_marker_blocks": 2}),
        ("CMYK", (20, 30), {}),
    ],
)
def test_pixels_are_those_of_pillow(
    mode: str, size: tuple[int, int], options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene(*size, mode).save(tmp_path / "a.jpg", **options)
    used: list[str] = []
    decode = simplejpeg.decode_jpeg

    def counted(data: bytes, colour: str, **options: Any) -> np.ndarray:
        used.append(colour)
        return decode(data, colour, **options)

    monkeypatch.setattr(simplejpeg, "decode_jpeg", counted)
    fast, slow = both(tmp_path / "a.jpg", monkeypatch)
    assert np.array_equal(fast, slow)
    assert used == ([] if mode == "CMYK" else ["GRAY" if mode == "L" else "RGB"])


def test_the_orientation_of_exif_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(20, 32, "RGB").save(tmp_path / "a.jpg", exif=exif)
    fast, slow = both(tmp_path / "a.jpg", monkeypatch)
    assert np.shape(fast) == (3, 32, 20)
    assert np.array_equal(fast, slow)


def test_damaged_files_get_the_verdict_of_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    scene(48, 56, "RGB").save(file, "JPEG")
    whole, rng, path = file.getvalue(), random.Random(0), tmp_path / "a.jpg"
    kinds = set()
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data[: rng.choice([len(data), rng.randrange(1, len(data))])])
        fast, slow = both(path, monkeypatch)
        kinds.add(type(slow))
        assert np.array_equal(fast, slow) if isinstance(slow, np.ndarray) else fast == slow
    assert kinds == {str, np.ndarray}
