"""Class maps of GeoTIFF that are too large to be held: read, predicted and written window by window."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from densepred import atomic
from densepred.codec.semantic import Semantic
from densepred.dataset import geo_file, nodata
from densepred.dataset.image import from_stored
from densepred.dataset.intensity import white_in
from densepred.engine.sliding import Windows
from densepred.errors import Notice, UserError
from densepred.predictor import Predictor
from densepred.results.geotiff import KIND, created, path_of
from densepred.types import VOID

HELD = 2**30
"""Bytes of an image and its probabilities, as float32, above which it is predicted in windows."""


def wanted(model: Predictor, file: Path, settings: Any) -> bool:
    """Return True for a GeoTIFF that is too large to be held; if it must be held all the same, tell why."""
    if settings.tile is None or not geo_file.has_place(file) or not geo_file.installed():
        return False
    with geo_file.opened(file) as image:
        size = image.height * image.width * 4 * (len(model.info.classes) + model.info.channels)
        if size <= HELD:
            return False
        hindrance = _of_settings(settings) or _of_model(model) or _of_file(model, file, image)
    if hindrance:
        text = f"{file}: needs about {size / 2**30:.1f} GiB, and is predicted as a whole because of {hindrance}"
        warnings.warn(text, Notice, stacklevel=2)
    return not hindrance


def _of_settings(settings: Any) -> str | None:
    """Return the setting that needs the whole image."""
    plain = {"flip": False, "scales": [1.0], "blend": "gaussian", "latents": False}
    found = {key: getattr(settings, key) for key in plain} | {"scales": list(settings.scales)}
    return next((f"{key}={found[key]}" for key, value in plain.items() if found[key] != value), None)


def _of_model(model: Predictor) -> str | None:
    if type(model.task.codec) is not Semantic:
        return "its task: windows are for class maps"
    return "the transforms of the run (transform.valid)" if model.transform.transforms else None


def _of_file(model: Predictor, file: Path, image: Any) -> str | None:
    kind = np.dtype(image.dtypes[0])
    if kind not in (np.uint8, np.uint16) and kind.kind != "f" and white_in(model.info) is None:
        return f"its type {kind}, by which the scale depends on the window (dataset.max_value of the run sets it)"
    if image.photometric is not None and image.photometric.name in ("white", "palette"):
        return f"its colours ({image.photometric.name})"
    return "its EXIF orientation" if geo_file.turned(file) else None


def predict(model: Predictor, file: Path, place: Path, output: Path, settings: Any) -> None:
    """Write the labels as GeoTIFF, equal to those of the whole image; memory holds the rows of one window."""
    geo_file.read_layout(file, settings.max_pixels)  # checks the size
    where = geo_file.place(file)
    assert where is not None
    path = path_of(output / KIND, "labels", place)
    height, width = where.size
    text = f"{file}: {height}x{width} pixels are predicted in windows, and written as labels in GeoTIFF alone"
    warnings.warn(text, Notice, stacklevel=2)

    def write(temporary: Path) -> None:
        with created(temporary, (1, height, width), np.dtype(np.uint8), where, VOID) as target:
            if model.info.palette:
                target.write_colormap(1, dict(enumerate(model.info.palette)))
            for top, labels in labelled(
                model, file, Windows(settings.tile, settings.overlap, settings.blend, settings.tile_batch)
            ):
                target.write(labels[None], window=((top, top + len(labels)), (0, width)))

    atomic.replace(path, write)


def labelled(model: Predictor, file: Path, windows: Windows) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the first row of some rows of an image, and their labels (h, W) uint8; void where there are no data."""
    empty = nodata.declared(file)
    with geo_file.opened(file) as source:
        bands = Bands(source, _channels(source, model, file), model, file, empty)
        for top, found in model.strips(bands, windows):
            labels = found.need("semantic").cpu()
            if empty is not None:
                void = nodata.missing(bands.raw(top, top + len(labels)), empty)
                labels = labels.masked_fill(torch.from_numpy(void), VOID)
            yield top, labels.numpy()


class Bands:
    """An open GeoTIFF by rows, see `dataset.image_rows.Rows`."""

    def __init__(self, source: Any, channels: list[int], model: Predictor, file: Path, empty: float | None) -> None:
        self.source, self.channels, self.info, self.file, self.empty = source, channels, model.info, file, empty
        self.size: tuple[int, int] = source.shape

    def raw(self, start: int, stop: int) -> np.ndarray:
        """Return numbers as they are stored, (stop - start, W, C)."""
        return np.moveaxis(self.source.read(self.channels, window=((start, stop), (0, self.size[1]))), 0, 2)

    def read(self, start: int, stop: int) -> Tensor:
        values, info = self.raw(start, stop), self.info
        return from_stored(values, self.file, info.channels, white_in(info), self.empty).image


def _channels(source: Any, model: Predictor, file: Path) -> list[int]:
    """Return the bands that images are made of, from 1, without alpha unless it is the missing channel."""
    info, alpha = model.info, source.count > 1 and source.colorinterp[-1].name == "alpha"
    chosen = list(info.bands) or list(range(1, source.count + 1 - (alpha and source.count != info.channels)))
    if max(chosen) > source.count:
        raise UserError(f"{file}: has {source.count} bands, and the model takes {list(info.bands)}; predict others")
    return chosen
