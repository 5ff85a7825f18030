"""One image file after another: read it, predict it, write its results."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from densepred.dataset import geo_file
from densepred.dataset.coco import Id
from densepred.dataset.image import Stored
from densepred.dataset.image_header import read_header
from densepred.dataset.image_rows import Loaded, Rows
from densepred.draw import panel
from densepred.engine.sliding import Windows
from densepred.errors import Notice
from densepred.predictor import Predictor
from densepred.results import by_rows, geo_windows
from densepred.results.files import Results
from densepred.results.geo_windows import HELD
from densepred.results.geotiff import GeoTiffs
from densepred.results.latents import Latents
from densepred.results.person_boxes import BoxFile, Detector
from densepred.types import Annotation


@dataclass(frozen=True)
class Work:
    """An image to predict: its file, its name and place below the folders of images and results, its id."""

    file: Path
    name: Path
    place: Path
    number: Id


class Found(NamedTuple):
    """The prediction of an image, (C, H, W), and its latent if it is wanted."""

    work: Work
    pixels: Tensor
    annotation: Annotation
    latent: Tensor | None = None


@dataclass(frozen=True)
class Writers:
    """The writers of results: files of every image, GeoTIFF of those on a map, latents."""

    results: Results
    maps: GeoTiffs | None = None
    latents: Latents | None = None

    def write(self, one: Found) -> None:
        """Write the results of an image. Raises UserError if a format cannot hold them."""
        name = one.work.name.as_posix()
        self.results.add(one.work.place, one.work.number, name, one.pixels, one.annotation)
        if self.maps is not None:
            self.maps.add(one.work.place, one.work.file, one.annotation)
        if self.latents is not None and one.latent is not None:
            size = (int(one.pixels.shape[-2]), int(one.pixels.shape[-1]))
            self.latents.add(one.work.place, name, size, one.latent)


@dataclass(frozen=True)
class Predicting:
    """The model, settings and writers by which images are predicted; `settings` are those of the command."""

    model: Predictor
    settings: Any
    writers: Writers
    boxes: BoxFile | Detector | None = None

    def __call__(self, work: Work) -> None:
        """Predict an image and write its results. Raises UserError if it cannot be read, or results not be written."""
        model, settings, maps = self.model, self.settings, self.writers.maps
        if maps is not None and geo_windows.wanted(model, work.file, settings):
            geo_windows.predict(model, work.file, work.place, self.writers.results.folder, settings)
            maps.count += 1
            return
        mapped = maps is not None and geo_file.has_place(work.file)
        if settings.tile is None or mapped or not (model.streams(settings.scales) or self.formed(work)):
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

    def formed(self, work: Work) -> bool:
        """Return True for an image so large that its instances are formed in blocks; tell why if they cannot be."""
        model, settings = self.model, self.settings
        height, width = read_header(work.file, settings.max_pixels).size
        channels = model.info.channels + sum(spec.channels for spec in model.task.heads.values())
        size = 4 * height * width * channels
        if size <= HELD or model.task.codec.windowed or model.task.codec.top_down:
            return False
        if model.blocks((height, width), settings.scales) is None:
            text = f"{work.file}: needs about {size / 2**30:.1f} GiB, and is predicted as a whole because of its task"
            reason = ", scales or the transforms of the run (transform.valid); give it in crops"
            warnings.warn(text + reason, Notice, stacklevel=2)
            return False
        return True

    def whole(self, work: Work, stored: Stored) -> None:
        """Predict an image that is in memory, (C, H, W)."""
        for found in self.find([(work, stored)]):
            self.writers.write(found)

    def find(self, images: Sequence[tuple[Work, Stored]]) -> list[Found]:
        """Predict images of one size, and write nothing; see `joinable` for several."""
        if len(images) > 1:
            settings = self.settings
            pixels = [stored.image for _, stored in images]
            found = self.model.together(pixels, settings.probabilities or settings.uncertainty)
        else:
            found = [one(self.model, stored.image, self.settings, self._boxes(work, stored)) for work, stored in images]
        return [self._completed(*image, found) for image, found in zip(images, found, strict=True)]

    def joinable(self) -> bool:
        """Return True if several images can be one batch: whole images, seen once."""
        settings = self.settings
        plain = settings.tile is None and not settings.flip and list(settings.scales) == [1.0]
        return plain and not self.model.task.codec.top_down

    def _boxes(self, work: Work, stored: Stored) -> Annotation | None:
        name = work.name.with_suffix("").as_posix()
        return None if self.boxes is None else self.boxes(stored.image, work.number, name)

    def _completed(self, work: Work, stored: Stored, found: Annotation) -> Found:
        """Add void where the image has no data, and the latent."""
        stored.hide(found)
        latent = None if self.writers.latents is None else self.model.encode(stored.image, ready=True)
        return Found(work, stored.image, found, latent)

    def by_rows(self, work: Work, rows: Rows) -> None:
        """Predict a large image by strips."""
        settings = self.settings
        windows = Windows(settings.tile, settings.overlap, settings.blend, settings.tile_batch)
        shares = settings.probabilities or settings.uncertainty
        if plan := self.model.blocks(rows.size, settings.scales):
            blocks = self.model.instances(rows, windows, plan, settings.flip, shares)
            one = (work.place, work.number, work.name.as_posix())
            by_rows.write_instances(self.writers.results, one, rows, plan, blocks, settings.tile)
            return
        by_rows.write(self.writers.results, work.place, rows, self.model.strips(rows, windows, settings.flip, shares))


def one(model: Predictor, pixels: Tensor, settings: Any, boxes: Annotation | None) -> Annotation:
    """Predict one image, as `model.read` returns it, with the settings of the command."""
    return model(
        pixels,
        ready=True,
        tile=settings.tile,
        overlap=settings.overlap,
        blend=settings.blend,
        tile_batch=settings.tile_batch,
        flip=settings.flip,
        scales=settings.scales,
        probabilities=settings.probabilities or settings.uncertainty,
        boxes=boxes,
    )
