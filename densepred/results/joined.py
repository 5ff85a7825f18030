"""Instances and classes of a large image between two passes: pieces of blocks on the disk, then whole instances."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from densepred.codec.blockwise import Blocks
from densepred.engine.row_blocks import Block
from densepred.errors import Notice
from densepred.ops.boxes import from_ids
from densepred.ops.regions.joining import Joined, Joiner
from densepred.ops.regions.run_lengths import mask_of_runs
from densepred.results import coco
from densepred.results.coco import Categories, Json, stuff_of
from densepred.types import VOID, Annotation, Info

COLUMNS = 2**24
"""Pixels of a mask that are encoded together."""


class RowFile:
    """Rows of numbers in a file without a name, which the system removes with the process: 1 or 4 bytes per pixel."""

    def __init__(self, folder: Path, width: int, kind: type[np.generic]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file, self.width, self.kind = tempfile.TemporaryFile(dir=folder), width, np.dtype(kind)  # noqa: SIM115

    def add(self, rows: np.ndarray) -> None:
        self.file.seek(0, 2)
        self.file.write(np.ascontiguousarray(rows, self.kind).tobytes())

    def read(self, start: int, stop: int) -> np.ndarray:
        row = self.width * self.kind.itemsize
        self.file.seek(start * row)
        return np.frombuffer(bytearray(self.file.read((stop - start) * row)), self.kind).reshape(-1, self.width)

    def close(self) -> None:
        self.file.close()


class JoinedRows:
    """Take in the blocks of an image by `add`; after `finish`, `read` returns the annotation of any rows.

    Leaving the context frees the disk.
    """

    def __init__(self, folder: Path, size: tuple[int, int], info: Info, plan: Blocks) -> None:
        self.size, self.info, self.plan = size, info, plan
        self.joiner = Joiner(plan.any_size)
        self.pieces, self.labels = RowFile(folder, size[1], np.int32), RowFile(folder, size[1], np.uint8)
        self.semantic = False
        self.stuff_areas = np.zeros(VOID + 1, np.int64)
        self.stuff_edges = np.tile(np.array([np.inf, np.inf, -np.inf, -np.inf], np.float32), (VOID + 1, 1))
        self.instances: Joined | None = None

    def __enter__(self) -> JoinedRows:
        return self

    def __exit__(self, *_: object) -> None:
        self.pieces.close()
        self.labels.close()

    def add(self, block: Block) -> None:
        """Store the kept rows of a block; blocks come from the top."""
        found, kept = block.found, block.kept
        ids = found.need("instances").cpu().numpy()
        kinds = found.class_ids(self.info).cpu().numpy()
        scores = np.ones(len(kinds), np.float32) if found.scores is None else found.scores.cpu().numpy()
        pieces = self.joiner.add(ids, kept, block.top, kinds, scores)
        self.pieces.add(pieces)
        if found.semantic is not None:
            self.semantic = True
            labels = found.semantic[kept].cpu().numpy()
            self.labels.add(labels)
            self._add_stuff(block.top, stuff_of(pieces, labels, self.info))

    def _add_stuff(self, top: int, stuff: np.ndarray) -> None:
        """Add the areas and edges of the classes of stuff in some rows."""
        self.stuff_areas += np.bincount(stuff.reshape(-1), minlength=VOID + 1)
        number = np.arange(1, VOID + 2, dtype=np.int32)
        number[VOID] = 0
        here = from_ids.boxes(torch.from_numpy(number[stuff]), VOID + 1).numpy()
        seen, edges = here[:, 2] > here[:, 0], self.stuff_edges
        here = here + np.array([0, top, 0, top], np.float32)
        edges[seen, :2] = np.minimum(edges[seen, :2], here[seen, :2])
        edges[seen, 2:] = np.maximum(edges[seen, 2:], here[seen, 2:])

    def finish(self, tile: int) -> Joined:
        """Join the pieces, and issue a notice about instances that may have been cut between blocks."""
        self.instances = joined = self.joiner.joined(self.plan.thing_area)
        high = joined.boxes[:, 3] - joined.boxes[:, 1]
        if not self.plan.any_size and (cut := int((joined.crossing & (high > tile)).sum())):
            text = f"tile={tile}: {cut} instances are higher and lie in two blocks of rows, so they may be cut; "
            text += "set a larger tile"
            warnings.warn(text, Notice, stacklevel=2)
        return joined

    def rows(self) -> Annotation:
        """Return what is known of the instances without their pixels."""
        joined = self._joined()
        categories, scores = torch.from_numpy(joined.categories), torch.from_numpy(joined.scores)
        return Annotation(self.size, categories=categories, scores=scores)

    def present(self) -> list[int]:
        """Return the classes of stuff that are left, in order."""
        least = max(1.0, self.plan.stuff_area)
        return [int(label) for label in np.flatnonzero(self.stuff_areas >= least) if label != VOID]

    def described(self, categories: Categories) -> tuple[np.ndarray, list[Json]]:
        """Return the colours of the segments and their entries in a panoptic file, see `coco.described`."""
        joined, present, found = self._joined(), self.present(), self.rows()
        found.semantic = torch.zeros(1, 1, dtype=torch.uint8)  # with classes, colours of instances are near theirs
        areas = np.concatenate([joined.areas, self.stuff_areas[present]])
        edges = np.concatenate([joined.boxes, self.stuff_edges[present]])
        return coco.described(found, self.info, categories, present, areas, edges)

    def segments(self, part: Annotation) -> np.ndarray:
        """Return the numbers of the segments in rows that `read` returned."""
        ids, labels = part.need("instances").numpy(), part.need("semantic").numpy()
        return coco.numbered(ids, stuff_of(ids, labels, self.info), len(self._joined().areas), self.present())

    def read(self, start: int, stop: int) -> Annotation:
        """Return rows of the image with the ids and classes of whole instances; void where one was dropped."""
        joined = self._joined()
        pieces = self.pieces.read(start, stop)
        ids = joined.table[pieces]
        found = self.rows()
        found.size, found.instances = (stop - start, self.size[1]), torch.from_numpy(ids)
        if self.semantic:
            labels = self.labels.read(start, stop)
            known = np.full(VOID + 1, VOID, np.uint8)
            stays = [*self.present(), *self.info.things]
            known[stays] = stays
            labels = np.where(pieces > 0, np.uint8(VOID), known[labels])
            inside = ids > 0
            labels[inside] = joined.categories[ids[inside] - 1]
            found.semantic = torch.from_numpy(labels)
        return found

    def _joined(self) -> Joined:
        assert self.instances is not None, "finish comes first"
        return self.instances


class Masks:
    """Run-length masks of instances from the rows of an image; `add` them from the top."""

    def __init__(self, size: tuple[int, int], joined: Joined) -> None:
        self.size, self.joined = size, joined
        self.windows: dict[int, np.ndarray] = {}  # bits of the open instances, row by row
        self.masks: list[Any] = [None] * len(joined.areas)
        self.edges = np.stack([joined.boxes[:, :2] + 0.5, joined.boxes[:, 2:] + 0.5], 1).astype(np.int64)  # (N, 2, 2)

    def add(self, top: int, ids: np.ndarray) -> None:
        """Take in rows of ids that begin at `top`."""
        stop = top + len(ids)
        boxes = from_ids.boxes(torch.from_numpy(ids), len(self.masks)).numpy()
        for index in np.flatnonzero(boxes[:, 2] > boxes[:, 0]).tolist():
            (left, first), (right, last) = self.edges[index]
            if index not in self.windows:
                self.windows[index] = np.zeros((last - first, (right - left + 7) // 8), np.uint8)
            low, high = max(top, first), min(stop, last)
            here = ids[low - top : high - top, left:right] == index + 1
            self.windows[index][low - first : high - first] = np.packbits(here, axis=1)
            if stop >= last:
                self._close(index)

    def _close(self, index: int) -> None:
        """Encode an instance that is complete, some columns of its window at a time."""
        (left, first), _ = self.edges[index]
        bits, (height, width) = self.windows.pop(index), self.size
        starts, ends = [], []
        for byte in range(0, bits.shape[1], step := max(1, COLUMNS // (8 * len(bits)))):
            inside = np.unpackbits(bits[:, byte : byte + step], axis=1).T  # (columns, rows)
            edges = np.diff(np.pad(inside, ((0, 0), (1, 1))).view(np.int8), axis=1)
            for found, sign in ((starts, 1), (ends, -1)):
                column, row = np.nonzero(edges == sign)
                found.append((column + 8 * byte + left) * height + row + first)
        self.masks[index] = mask_of_runs(np.concatenate(starts), np.concatenate(ends), height, width)
