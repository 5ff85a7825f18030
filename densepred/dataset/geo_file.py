"""GeoTIFF by rasterio: where an image lies on the map, and TIFF in compressions that tifffile does not decode.

rasterio (BSD, https://github.com/rasterio/rasterio) brings GDAL; the extra `geo` installs it. GDAL reads the file
alone: no world files, overviews or auxiliary files beside it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from densepred.dataset import image_layout
from densepred.dataset.image_file import check_file, check_pixels, damage
from densepred.types import UserError

INSTALL = "pip install 'densepred[geo]'"
LOSSLESS = ("NONE", "DEFLATE", "LZW", "PACKBITS", "LZMA", "ZSTD")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the pixels of an image lie: a coordinate reference system, and the affine map from pixels to it."""

    crs: Any  # rasterio.crs.CRS, or None
    transform: Any  # affine.Affine
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Layout:
    size: tuple[int, int]
    bands: int
    dtype: np.dtype
    alpha: bool
    lossy: bool


def installed() -> bool:
    return find_spec("rasterio") is not None


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a TIFF as rasterio's dataset. Raises UserError if it is damaged."""
    check_file(path)
    image_layout.check(path)
    import rasterio  # pyright: ignore[reportMissingImports], of an extra
    from rasterio.errors import NotGeoreferencedWarning  # pyright: ignore[reportMissingImports], of an extra

    with damage(path), rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, driver="GTiff") as file:
            yield file


def read_layout(path: Path, max_pixels: int) -> Layout:
    """Read the header of a TIFF, and check the size before anything is decoded."""
    with opened(path) as file:
        kinds = {np.dtype(kind) for kind in file.dtypes}
        if len(kinds) > 1 or (kind := kinds.pop()).kind not in "iuf" or file.colorinterp[0].name == "palette":
            raise UserError(
                f"{path}: holds {', '.join(file.dtypes)}; save it as uint8, uint16 or float32, without palette"
            )
        check_pixels(path, file.height, file.width, max_pixels, kind.itemsize * file.count)
        alpha = file.count > 1 and file.colorinterp[-1].name == "alpha"
        name = "NONE" if file.compression is None else file.compression.name.upper()
        return Layout((file.height, file.width), file.count, kind, alpha, name not in LOSSLESS)


def read_values(path: Path) -> np.ndarray:
    """Return the pixels (H, W, bands)."""
    with opened(path) as file:
        return np.moveaxis(file.read(), 0, 2)


def place(path: Path) -> Place | None:
    """Return where a GeoTIFF lies; None for other files."""
    if not has_place(path):
        return None
    with opened(path) as file:
        return Place(file.crs, file.transform, (file.height, file.width))


def has_place(path: Path) -> bool:
    """Look for a map's coordinates in the header of a TIFF, without rasterio."""
    if path.suffix.lower() not in (".tif", ".tiff") or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) in image_layout.TIFF and not MAPPED.isdisjoint(image_layout.tags(file))


def turned(path: Path) -> bool:
    """Return True if the header of a TIFF has another orientation than that of its rows, or may have."""
    with path.open("rb") as file:
        return 274 in image_layout.tags(file)


MAPPED = {33550, 33922, 34264}
"""ModelPixelScale, ModelTiepoint and ModelTransformation (OGC 19-008r4)."""
