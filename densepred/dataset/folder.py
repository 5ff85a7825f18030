"""Images and masks in folders, or in a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from densepred.contracts import Dataset
from densepred.dataset import classes as legends
from densepred.dataset.listing import Pair
from densepred.dataset.raster import MAX_PIXELS
from densepred.dataset.reader import EXIF, Reader, most_channels, statistics
from densepred.dataset.source import Source
from densepred.types import Info, Sample, UserError


class Folder(Dataset):
    """`images` and `masks` are folders within `root`; {split} in them is the folder that `splits` names.

    Where `splits` holds fractions, one folder is divided at random by `seed`, with equal `group`s kept together.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: Mapping[str, str | float] | None = None,
        images: str = "images/{split}",
        masks: str | None = "masks/{split}",
        mask_suffix: str = "",
        list: str | None = None,
        classes: Sequence[str] | int | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        ignore_index: int | None = None,
        label_map: Mapping[int, int] | None = None,
        channels: int | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        exif: str = "auto",
        seed: int = 0,
        group: str | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if exif not in EXIF:
            raise UserError(f"dataset.exif: {exif!r}; choose one of {', '.join(EXIF)}")
        source = Source(Path(root), images, masks, mask_suffix, list, splits, seed, group)
        self.root, self.max_pixels = source.root, max_pixels
        self.pairs = source.pairs(split)

        # What the labels mean must not depend on the split that is asked for
        train = source.pairs("train") if split != "train" and source.has_training() else self.pairs
        legend = None if masks is None else self._legend(train, classes, palette, ignore_index, label_map)
        channels = most_channels(train, max_pixels) if channels is None else channels
        if mean is None or std is None:
            found = statistics(train, channels, max_pixels)
            mean, std = found[0] if mean is None else mean, found[1] if std is None else std
        self.info = Info(
            classes=() if legend is None else legend.labels.classes,
            palette=() if legend is None else legend.palette,
            channels=channels,
            mean=tuple(mean),
            std=tuple(std),
            provides=() if legend is None else ("semantic",),
        )
        self._read = Reader(None if legend is None else legend.labels, channels, max_pixels, exif)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        return self._read(self.pairs[index])

    def _legend(
        self,
        train: Sequence[Pair],
        classes: Sequence[str] | int | None,
        palette: Sequence[Sequence[int]] | None,
        ignore_index: int | None,
        label_map: Mapping[int, int] | None,
    ) -> legends.Legend:
        path, mapping = self.root / "classes.json", _integers(label_map)
        if classes is not None:
            return legends.from_settings(classes, ignore_index, mapping, palette)
        if path.is_file():
            return legends.from_json(path, ignore_index, mapping)
        masks = [pair.mask for pair in train if pair.mask is not None]
        return legends.from_masks(masks, ignore_index, mapping, self.max_pixels)


def _integers(label_map: Mapping[int, int] | None) -> dict[int, int]:
    try:
        return {int(value): int(label) for value, label in (label_map or {}).items()}
    except (TypeError, ValueError) as error:
        raise UserError(f"dataset.label_map: {label_map}; give ids as {{255: 1}}") from error
