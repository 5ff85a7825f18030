"""Images and class masks, in folders or in a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from densepred.dataset import class_lists, legend, nodata
from densepred.dataset.image_header import SAMPLED
from densepred.dataset.intensity import white_in
from densepred.dataset.labels import parse_label_map
from densepred.dataset.paired_folder import PairedFolder, Pairs
from densepred.dataset.reader import Reader
from densepred.types import Info, Sample


@dataclass(eq=False)
class Folder(PairedFolder):
    """Masks hold class ids, or colours.

    Classes are those of `classes`, else of classes.json or of a file that an annotation program wrote, else of the
    masks. The id `unlabelled` is void, and the other ids number the classes.
    """

    classes: Sequence[str] | int | None = None
    palette: Sequence[Sequence[int]] | None = None
    ignore_index: int | None = None
    label_map: Mapping[int, int] | None = None
    unlabelled: int | None = None

    def __post_init__(self) -> None:
        train = self.usable_pairs(legend.SCANNED if self.classes is None else SAMPLED)
        labels, info = None, Info(provides=())
        if self.masks is not None:
            found = self._legend(train)
            labels, info = found.labels, Info(found.labels.classes, palette=found.palette)
        self.info = self.with_statistics(info, train)
        kept = frozenset(parse_label_map(self.label_map))
        self._read = Reader(labels, self.info.reads, self.max_pixels, self.exif, white_in(self.info), kept)

    def __getitem__(self, index: int) -> Sample:
        return self._read(self.pairs[index])

    def _legend(self, train: Pairs) -> legend.Legend:
        masks = [pair.mask for pair in train if pair.mask is not None]
        label_map = parse_label_map(self.label_map)
        nodata.tell_in_labels(masks, label_map)
        found = self._named(train, label_map)
        if found is None:
            return legend.from_masks(masks, self.ignore_index, label_map, self.max_pixels, self.unlabelled)
        return found.with_palettes(legend.sampled_palettes(masks, self.max_pixels))

    def _named(self, train: Pairs, label_map: Mapping[int, int]) -> legend.Legend | None:
        """Return the classes that the settings or a file name; None if neither does."""
        path = self._root / "classes.json"
        if self.classes is not None:
            return legend.from_settings(self.classes, self.ignore_index, label_map, self.palette, self.unlabelled)
        if path.is_file():
            return legend.from_json(path, self.ignore_index, label_map, self.unlabelled)
        folders = dict.fromkeys([self._root, *(pair.image.parent for pair in train[:1])])
        if named := class_lists.find(folders):
            return legend.from_entries(named[1], named[0], {self.ignore_index, self.unlabelled}, label_map)
        return None
