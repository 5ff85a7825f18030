"""Predictions as GeoTIFF, where their image is one: with its coordinate reference system and transform."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from densepred import atomic
from densepred.dataset import geo_file
from densepred.errors import Notice
from densepred.types import VOID, Annotation, Info

KIND = "geotiff"


class GeoTiffs:
    """The folder `geotiff/` of a folder of results. `count` is the number of images that were written."""

    def __init__(self, folder: Path, info: Info) -> None:
        self.folder, self.info, self.count = folder / KIND, info, 0

    def add(self, place: Path, source: Path, found: Annotation) -> None:
        """Write the maps of a prediction; nothing if the image has no place, or was turned by its EXIF orientation."""
        where = geo_file.place(source)
        if where is None:
            return
        if where.size != found.size:
            warnings.warn(f"{source}: is turned by EXIF, so its predictions get no GeoTIFF", Notice, stacklevel=2)
            return
        if found.semantic is not None:
            labels = found.semantic.cpu().numpy()[None]
            self._write("labels", place, labels, where=where, nodata=VOID, palette=self.info.palette)
        if found.instances is not None:
            ids = found.instances.cpu().numpy().astype(np.uint32)[None]
            self._write("instances", place, ids, where=where, nodata=0)
        if found.probabilities is not None:
            shares = found.probabilities.float().cpu().numpy()
            self._write("probabilities", place, shares, where=where, names=self.info.classes)
        self.count += 1

    def _write(self, kind: str, place: Path, bands: np.ndarray, **facts: Any) -> None:
        atomic.replace(path_of(self.folder, kind, place), partial(write, bands=bands, **facts))


def path_of(folder: Path, kind: str, place: Path) -> Path:
    """Return the file of an image's map below the folder `geotiff/`; the folders above it are made."""
    path = folder / kind / place.parent / f"{place.name}.tif"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write(
    path: Path,
    bands: np.ndarray,
    where: geo_file.Place,
    names: Sequence[str] = (),
    nodata: int | None = None,
    palette: Sequence[tuple[int, int, int]] = (),
) -> None:
    """Write bands (N, H, W) as a deflated GeoTIFF; `names` describe the bands."""
    with created(path, bands.shape, bands.dtype, where, nodata) as file:
        file.write(bands)
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
        if palette:
            file.write_colormap(1, dict(enumerate(palette)))


def created(path: Path, shape: tuple[int, ...], dtype: np.dtype, where: geo_file.Place, nodata: int | None) -> Any:
    """Create a GeoTIFF of this shape (bands, H, W), to be written and closed."""
    import rasterio  # pyright: ignore[reportMissingImports], of an extra

    return rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=shape[0],
        height=shape[1],
        width=shape[2],
        dtype=dtype,
        crs=where.crs,
        transform=where.transform,
        nodata=nodata,
        compress="deflate",
        bigtiff="if_safer",
    )


def writer(files: Sequence[Path], folder: Path, info: Info) -> GeoTiffs | None:
    """Return the writer if there are GeoTIFF among the images; without rasterio, tell that none are written."""
    mapped = sum(geo_file.has_place(file) for file in files)
    if not mapped:
        return None
    if geo_file.installed():
        return GeoTiffs(folder, info)
    text = f"{mapped} of {len(files)} images lie on a map; for predictions as GeoTIFF {geo_file.INSTALL}"
    warnings.warn(text, Notice, stacklevel=2)
    return None
