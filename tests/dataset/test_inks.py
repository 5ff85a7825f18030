"""Images of inks and of brightness and colour become the red, green and blue of published formulas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from densepred.dataset.image import read_image


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


INKS = np.kron(np.random.default_rng(0).integers(0, 256, (4, 5, 4), dtype=np.uint8), np.ones((16, 16, 1), np.uint8))


def from_ycc(values: np.ndarray) -> np.ndarray:
    """Return red, green and blue (H, W, 3) by the formulas of JFIF."""
    y, blue, red = np.moveaxis(values[..., :3].astype(float) - (0, 128, 128), -1, 0)
    rgb = np.stack((y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue), -1)
    return rgb.clip(0, 255)


def printed(inks: np.ndarray, black: np.ndarray) -> np.ndarray:
    """Return the colours of white paper behind three inks (H, W, 3) and black (H, W)."""
    return (255 - inks.astype(float)) * (255 - black[..., None].astype(float)) / 255


def test_print_colours_become_rgb(tmp_path: Path) -> None:
    cmyk = Image.fromarray(INKS, "CMYK")
    expected = printed(INKS[..., :3], INKS[..., 3])
    for name, options in (("a.tif", {}), ("a.jpg", {"quality": 100, "subsampling": 0})):
        found = read_image(saved(tmp_path / name, cmyk, **options)).permute(1, 2, 0).numpy()
        assert abs(found - expected).max() <= 1, name
    # Adobe's mark of YCCK: the same bytes are brightness and colour of what is printed, inverted as those of CMYK are
    content = bytearray((tmp_path / "a.jpg").read_bytes())
    content[content.index(b"Adobe") + 11] = 2
    (tmp_path / "y.jpg").write_bytes(content)
    found = read_image(tmp_path / "y.jpg").permute(1, 2, 0).numpy()
    assert abs(found - printed(from_ycc(255 - INKS), INKS[..., 3])).max() <= 3
    ycc = Image.fromarray(INKS[..., :3], "YCbCr")
    found = read_image(saved(tmp_path / "b.tif", ycc)).permute(1, 2, 0).numpy()
    assert abs(found - from_ycc(INKS)).max() <= 2
