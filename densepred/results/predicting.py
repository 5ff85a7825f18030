"""One image file after another: read it, predict it, write its results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from densepred.dataset import geo_file
from densepred.dataset.coco import Id
from densepred.dataset.image import Stored
from densepred.dataset.image_rows import Loaded, Rows
from densepred.draw import panel
from densepred.engine.sliding import Windows
from densepred.predictor import Predictor
from densepred.results import by_rows, geo_windows
from densepred.results.files import Results
from densepred.results.geotiff import GeoTiffs
from densepred.results.latents import Latents
from densepred.results.person_boxes import BoxFile, Detector
from densepred.types import VOID, Annotation


@dataclass(frozen=True)
class Work:
    """An image to predict: its file, its name and place below the folders of images and results, its id."""

    file: Path
    name: Path
    place: Path
    number: Id


@dataclass(frozen=True)
class Predicting:
    """The model, settings and writers by which images are predicted; `settings` are those of the command."""

    model: Predictor
    settings: Any
    writer: Results
    maps: GeoTiffs | None = None
    latents: Latents | None = None
    boxes: BoxFile | Detector | None = None

    def __call__(self, work: Work) -> None:
        """Predict an image and write its results. Raises UserError if it cannot be read, or results not be written."""
        model, settings, mapped = self.model, self.settings, self.maps is not None and geo_file.has_place(work.file)
        if self.maps is not None and geo_windows.wanted(model, work.file, settings):
            geo_windows.predict(model, work.file, work.place, self.writer.folder, settings)
            self.maps.count += 1
            return
        if settings.tile is None or mapped or not model.streams(settings.scales):
            self.whole(work, model.stored(work.file, settings.max_pixels))
            return
        rows = model.rows(work.file, settings.max_pixels)
        void = None
        if rows is None:
            pixels, _, void = model.stored(work.file, settings.max_pixels)
            rows = Loaded(pixels)
        if void is None and rows.size[0] > settings.tile and max(rows.size) >= panel.SIDE:
            self.by_rows(work, rows)
        else:
            self.whole(work, Stored(rows.read(0, rows.size[0]), void=void))

    def whole(self, work: Work, stored: Stored) -> None:
        """Predict an image that is in memory, (C, H, W)."""
        pixels, void = stored.image, stored.void
        boxes = None if self.boxes is None else self.boxes(pixels, work.number, work.name.with_suffix("").as_posix())
        found = one(self.model, pixels, self.settings, boxes)
        if void is not None and found.semantic is not None:
            found.semantic = found.semantic.masked_fill(void.to(found.semantic.device), VOID)
        self.writer.add(work.place, work.number, work.name.as_posix(), pixels, found)
        if self.maps is not None:
            self.maps.add(work.place, work.file, found)
        if self.latents is not None:
            size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
            self.latents.add(work.place, work.name.as_posix(), size, self.model.encode(pixels))

    def by_rows(self, work: Work, rows: Rows) -> None:
        """Predict a large image by strips."""
        settings = self.settings
        windows = Windows(settings.tile, settings.overlap, settings.blend, settings.tile_batch)
        shares = settings.probabilities or settings.uncertainty
        by_rows.write(self.writer, work.place, rows, self.model.strips(rows, windows, settings.flip, shares))


def one(model: Predictor, pixels: Tensor, settings: Any, boxes: Annotation | None) -> Annotation:
    """Predict one image with the settings of the command."""
    return model(
        pixels,
        tile=settings.tile,
        overlap=settings.overlap,
        blend=settings.blend,
        tile_batch=settings.tile_batch,
        flip=settings.flip,
        scales=settings.scales,
        probabilities=settings.probabilities or settings.uncertainty,
        boxes=boxes,
    )
