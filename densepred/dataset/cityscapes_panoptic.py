"""Cityscapes with instances and fine annotations, in its official tree.

Source: https://github.com/mcordts/cityscapesScripts
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from densepred.contracts import Dataset
from densepred.dataset.cityscapes import IDS, LABELS, pairs
from densepred.dataset.id_map import annotate, read_ids
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.image_header import describe_files, white
from densepred.dataset.reader import Reader
from densepred.types import VOID, Frame, Info, Sample, UserError

_MASK = "_gtFine_instanceIds"
_DIVISOR = 1000  # the n-th instance of a label has the id label * 1000 + n
_FIRST_THING = 24  # label of a person; things are the last of the labels


class CityscapesPanoptic(Dataset):
    """`root` holds leftImg8bit/<split>/<city> and gtFine/<split>/<city>.

    An id below 1000 is a label: stuff, or a crowd, which is a group of things that was not separated.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: Mapping[str, str] | None = None,
        max_value: int | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.pairs = pairs(root, splits, split, _MASK)
        self.info = Info(
            classes=tuple(name for name, _, _ in LABELS),
            things=tuple(index for index, (_, label, _) in enumerate(LABELS) if label >= _FIRST_THING),
            palette=tuple(colour for _, _, colour in LABELS),
            provides=("semantic", "instances", "categories", "boxes", "areas", "crowd", "ignore"),
            max_value=white(self.files(), max_value, max_pixels),
            exif="stored",
        )
        self._train_ids = np.full(IDS, VOID)
        self._train_ids[[label for _, label, _ in LABELS]] = np.arange(len(LABELS))
        self._max_pixels = max_pixels
        self._read = Reader(None, 3, max_pixels, "stored", self.info.max_value)

    def __len__(self) -> int:
        return len(self.pairs)

    def images_line(self) -> str:
        return describe_files([pair.image for pair in self.pairs], self.info, self._max_pixels)

    def files(self) -> Sequence[Path]:
        return [pair.image for pair in self.pairs]

    def __getitem__(self, index: int) -> Sample:
        pair = self.pairs[index]
        path = pair.mask
        assert path is not None
        ids = read_ids(path, self._max_pixels)
        truth = annotate(ids, partial(self._classify, path=path), self.info.things)
        return Sample(self._read.image(pair.image, truth, f"the map {path}"), truth, Frame(pair.id, truth.size))

    def _classify(self, ids: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray]:
        labels = np.where(ids < _DIVISOR, ids, ids // _DIVISOR)
        if int(labels.max()) >= IDS:
            wrong = int(ids[labels >= IDS][0])
            raise UserError(
                f"{path}: holds the id {wrong}, of label {wrong // _DIVISOR or wrong}, but labels are 0 to {IDS - 1}; "
                "use the *_gtFine_instanceIds.png of the official archive"
            )
        return self._train_ids[labels], ids < _DIVISOR
