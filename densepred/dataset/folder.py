"""Images and class masks, in folders or in a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from densepred.dataset import legend
from densepred.dataset.labels import parse_label_map
from densepred.dataset.paired_folder import PairedFolder, Pairs
from densepred.dataset.reader import Reader
from densepred.types import Info, Sample


@dataclass(eq=False)
class Folder(PairedFolder):
    """Masks hold class ids, or colours. Classes are those of `classes`, else of classes.json, else of the masks."""

    classes: Sequence[str] | int | None = None
    palette: Sequence[Sequence[int]] | None = None
    ignore_index: int | None = None
    label_map: Mapping[int, int] | None = None

    def __post_init__(self) -> None:
        train = self.find_pairs()
        labels, info = None, Info(provides=())
        if self.masks is not None:
            found = self._legend(train)
            labels, info = found.labels, Info(found.labels.classes, palette=found.palette)
        self.info = self.with_statistics(info, train)
        self._read = Reader(labels, self.info.channels, self.max_pixels, self.exif, self.info.max_value)

    def __getitem__(self, index: int) -> Sample:
        return self._read(self.pairs[index])

    def _legend(self, train: Pairs) -> legend.Legend:
        path, label_map = self._root / "classes.json", parse_label_map(self.label_map)
        if self.classes is not None:
            return legend.from_settings(self.classes, self.ignore_index, label_map, self.palette)
        if path.is_file():
            return legend.from_json(path, self.ignore_index, label_map)
        masks = [pair.mask for pair in train if pair.mask is not None]
        return legend.from_masks(masks, self.ignore_index, label_map, self.max_pixels)
