"""The files of one large image, those of `Results.add`, written strip by strip: memory does not grow with its height.

Codecs that decode pixels one by one give class maps, their overlays, probabilities and uncertainty at once. Instances
take two passes: blocks of rows are decoded and joined, see `results/joined.py`, and then the maps are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from densepred import atomic
from densepred.codec.blockwise import Blocks
from densepred.dataset.coco import Id
from densepred.dataset.image_rows import Rows
from densepred.draw import instances, panel
from densepred.draw.comparison import class_legend, confident, draw
from densepred.engine.row_blocks import Block
from densepred.results.files import Results, entropy_map, id_colours, require_ids
from densepred.results.joined import JoinedRows, Masks
from densepred.results.png_rows import PngRows
from densepred.types import Annotation

KINDS = {"overlays": ".png", "uncertainty": ".png", "probabilities": ".npy", "panoptic": ".png"}
KINDS |= {"instances": ".png", "labels": ".png"}
"""In the order in which `Results.add` writes them."""
STRIP = 2**20
"""Pixels of the maps of instances that are read and written together."""


class Files:
    """The files of one image: `shares` and `maps` take some rows of it from the top; the context names the files.

    image: at least `panel.SIDE` pixels in one direction; overlays of smaller ones are enlarged, see `Results.add`
    """

    def __init__(self, results: Results, place: Path, image: Rows, kinds: set[str]) -> None:
        results.current.clear()
        self.results, self.image, self.info = results, image, results.info
        self.paths = {kind: results.path(kind, place, suffix) for kind, suffix in KINDS.items() if kind in kinds}
        self.stack = ExitStack()
        self.present: set[int] = set()

    def __enter__(self) -> Files:
        # Left in reverse order: the last of the kinds gets its name last, because it marks the image as done
        files = {kind: self.stack.enter_context(atomic.replacing(self.paths[kind])) for kind in reversed(self.paths)}
        palettes = {"labels": id_colours(self.info)}
        pngs = {kind: PngRows(file, palettes.get(kind)) for kind, file in files.items() if KINDS[kind] == ".png"}
        self.pngs = {kind: self.stack.enter_context(png) for kind, png in pngs.items()}
        size = (len(self.info.classes), *self.image.size)
        self.array = _array(files["probabilities"], size) if "probabilities" in files else None
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.__exit__(*error)  # type: ignore[arg-type]

    def shares(self, top: int, found: Tensor | None) -> None:
        """Take in probabilities (K, R, W)."""
        if found is None:
            return
        if "uncertainty" in self.pngs:
            self.pngs["uncertainty"].add(entropy_map(found).cpu().numpy())
        if self.array is not None:
            self.array[:, top : top + found.shape[1]] = found.half().cpu().numpy()

    def maps(self, found: Annotation, overlay: Tensor | None) -> None:
        """Take in the ids and the classes of some rows, and their overlay (3, R, W)."""
        if "labels" in self.pngs:
            labels = found.need("semantic").cpu()
            self.present |= set(labels.unique().tolist())
            self.pngs["labels"].add(labels.numpy())
        if "instances" in self.pngs:
            self.pngs["instances"].add(found.need("instances").cpu().numpy().astype(np.uint16))
        if overlay is not None:
            self.pngs["overlays"].add(_pixels(overlay))

    def finish(self, legend: bool) -> None:
        """Write what comes after the last row."""
        if legend and "overlays" in self.pngs:
            classes = torch.tensor([sorted(self.present)], dtype=torch.uint8)
            entries = class_legend(Annotation((1, len(self.present)), semantic=classes), self.info)
            self.pngs["overlays"].add(_pixels(panel.drawn(entries, self.image.size[1])))
        if self.array is not None:
            self.array.flush()


def write(results: Results, place: Path, image: Rows, strips: Iterator[tuple[int, Annotation]]) -> None:
    """Write the class maps of an image; strips begin at the rows beside them, from the top to the bottom."""
    overlay = results.overlays.overlay
    with Files(results, place, image, {"labels", *_wanted(results)}) as files:
        for top, found in strips:
            files.shares(top, found.probabilities)
            picture = draw(image.read(top, top + found.size[0]), found, results.info) if overlay else None
            files.maps(found, picture)
        files.finish(legend=True)
    results.names()


def write_instances(
    results: Results, work: tuple[Path, Id, str], image: Rows, plan: Blocks, blocks: Iterable[Block], tile: int
) -> None:
    """Write instances, and classes if the codec decodes them, from the blocks of an image.

    work: the place of the image below each kind's folder, its id and its name
    Overlays have no captions. Raises UserError, before any file gets its name, if there are too many instances.
    """
    place, number, name = work
    coming = iter(blocks)
    first = next(coming)
    segments = first.found.semantic is not None
    kinds = {"instances", *_wanted(results), *(("panoptic", "labels") if segments else ())}
    with (
        JoinedRows(results.folder, image.size, results.info, plan) as rows,
        Files(results, place, image, kinds) as files,
    ):
        for block in chain([first], coming):
            shares = block.found.probabilities
            files.shares(block.top, None if shares is None else shares[:, block.kept])
            rows.add(block)
        joined = rows.finish(tile)
        require_ids(place, len(joined.areas))
        found, masks = rows.rows(), Masks(image.size, joined)
        table, entries = rows.described(results.categories) if segments else (None, None)
        for start, stop in _strips(image.size):
            part = rows.read(start, stop)
            files.maps(part, _overlay(results, image, rows, start, stop))
            if table is not None:
                files.pngs["panoptic"].add(table[rows.segments(part)])
            masks.add(start, part.need("instances").numpy())
        files.finish(legend=False)
        found.masks = masks.masks
        results.note_hidden(found)
        results.record(place, number, name, found, entries)
    if segments:
        results.names()


def _overlay(results: Results, image: Rows, rows: JoinedRows, start: int, stop: int) -> Tensor | None:
    """Draw some rows of an overlay, with one more at either side: outlines depend on neighbours."""
    if not results.overlays.overlay:
        return None
    above, below = max(0, start - 1), min(image.size[0], stop + 1)
    part, _ = confident(rows.read(above, below), results.overlays.threshold)
    drawn = instances.overlay(image.read(above, below), part, results.info, captions=False)
    return drawn[:, start - above : stop - above]


def _strips(size: tuple[int, int]) -> list[tuple[int, int]]:
    step = max(1, STRIP // size[1])
    return [(start, min(start + step, size[0])) for start in range(0, size[0], step)]


def _wanted(results: Results) -> set[str]:
    options = results.overlays
    wanted = {"overlays": options.overlay, "uncertainty": options.uncertainty, "probabilities": options.probabilities}
    return {kind for kind, value in wanted.items() if value}


def _pixels(picture: Tensor) -> np.ndarray:
    return picture.permute(1, 2, 0).contiguous().numpy()


def _array(path: Path, shape: tuple[int, int, int]) -> np.memmap:
    """Return an array (classes, H, W) float16 on the disk."""
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
