"""Images and maps of instance ids, in folders or in a list."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch

from densepred.dataset import instance_ids, nodata
from densepred.dataset.facts import counted
from densepred.dataset.id_map import PROVIDED, annotate, read_ids, read_ids_void, separate_parts
from densepred.dataset.intensity import white_in
from densepred.dataset.paired_folder import PairedFolder, Pairs
from densepred.dataset.palette import default_palette, parse_palette
from densepred.dataset.reader import Reader
from densepred.errors import Notice
from densepred.types import VOID, Frame, Info, Sample, UserError

PEEKED = 8  # maps that are searched for ids before a run


@dataclass(eq=False)
class InstanceFolder(PairedFolder):
    """Masks number the instances: 0 is none, other ids need not be consecutive.

    With one thing and no `divisor`, every other id is an instance of it. With a `divisor`, the class of an id is
    id // divisor. An id of a thing that it divides is a crowd, a group that was not separated. `ignore_index` is
    the id of unknown pixels. `label_map` maps further values of id // divisor to classes, or to 255 for void.
    """

    option: ClassVar[str] = "instance_folder"

    masks: str | None = "instances/{split}"
    classes: Sequence[str] = ("background", "object")
    things: Sequence[str | int] | None = None
    divisor: int | None = None
    palette: Sequence[Sequence[int]] | None = None
    ignore_index: int | None = None
    label_map: Mapping[int, int] | None = None

    def __post_init__(self) -> None:
        names = instance_ids.class_names(self.classes)
        self._ids = instance_ids.from_settings(names, self.things, self.divisor, self.ignore_index, self.label_map)
        palette = default_palette(len(names)) if self.palette is None else parse_palette(self.palette, len(names))
        train = self.usable_pairs()
        self._refuse_class_masks(train)
        nodata.tell_in_labels([pair.mask for pair in train if pair.mask is not None], (0,))
        info = Info(provides=())
        if self.masks is not None:
            info = Info(names, self._ids.things, palette, provides=PROVIDED)
        self.info = self.with_statistics(info, train)
        self._read = Reader(None, self.info.reads, self.max_pixels, self.exif, white_in(self.info))

    def __getitem__(self, index: int) -> Sample:
        pair = self.pairs[index]
        if pair.mask is None:
            return self._read(pair)
        ids, void = read_ids_void(pair.mask, self.max_pixels)
        truth = annotate(ids, partial(self._ids.classify, path=pair.mask), self._ids.things)
        if void is not None:
            holes = torch.from_numpy(void)
            truth.need("semantic")[holes], truth.need("ignore")[holes] = VOID, True
        image = self._read.image(pair.image, truth, f"the map {pair.mask}")
        return Sample(image, truth, Frame(pair.id, truth.size))

    def _refuse_class_masks(self, pairs: Pairs) -> None:
        """Raise UserError if maps hold only 0 and 255, which separate objects from background, not from each other."""
        peeked = [pair.mask for pair in pairs[:: max(1, len(pairs) // PEEKED)] if pair.mask is not None][:PEEKED]
        maps = [read_ids(path, self.max_pixels) for path in peeked]
        found = {int(id) for ids in maps for id in np.unique(ids)}
        self._doubt_classes(
            maps, f"{peeked[0]}: it and {counted(len(peeked) - 1, 'others')} that were looked at" if peeked else ""
        )
        if found == {0, 255} and self.ignore_index != 255:
            raise UserError(
                f"{peeked[0]}: it and others hold nothing but 0 and 255: masks, not ids; number the instances 1, 2, "
                "..., or use dataset=folder with 'dataset.label_map={255: 1}'"
            )

    def _doubt_classes(self, maps: Sequence[np.ndarray], where: str) -> None:
        """Issue a notice if maps hold only 0 and 1, or if most ids have separate parts: classes, perhaps."""
        if self.divisor is not None:
            return
        parts = [count for ids in maps for id, count in separate_parts(ids) if id not in (0, self.ignore_index)]
        several = sum(count > 1 for count in parts)
        if parts and {int(ids.max()) for ids in maps} <= {0, 1}:
            fact = f"hold nothing but 0 and 1, so every image has one instance, in up to {max(parts)} separate parts"
        elif several > len(parts) / 2:
            fact = f"hold {len(parts)} ids, {several} of them in separate parts (up to {max(parts)}), each one instance"
        else:
            return
        text = f"{where} {fact}; if the ids are classes, number the instances 1, 2, ..., or use dataset=folder with "
        warnings.warn(f"{text}task=instance_components", Notice, stacklevel=2)
