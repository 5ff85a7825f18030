"""The base of datasets of images and masks in folders: pairs of files, and the statistics of the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from densepred.contracts import Dataset
from densepred.dataset import orientation, unreadable
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.image_header import SAMPLED, check_white, describe, measure_white, read_headers
from densepred.dataset.intensity import as_window
from densepred.dataset.pair_search import Pairs, PairSearch
from densepred.dataset.reader import statistics
from densepred.nn import choose
from densepred.types import Info


@dataclass(eq=False)
class PairedFolder(PairSearch, Dataset):
    """The pairs of a `PairSearch`. A subclass adds how masks are read, and sets `pairs` and `info`."""

    channels: int | Sequence[int] | None = None  # a number, or bands from 1
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    max_value: int | None = None
    window: Sequence[Any] | None = None  # center and width, or those of each channel
    exif: str = "auto"
    max_pixels: int = MAX_PIXELS
    on_bad: str = "error"  # skip: what cannot be read is left out of classes and statistics

    def usable_pairs(self, sampled: int = SAMPLED) -> Pairs:
        """Set `pairs`, and return those of training that classes and statistics are measured in."""
        choose("data.on_bad", self.on_bad, ("error", "skip"))
        train = self.find_pairs()
        return unreadable.without(train, sampled, self.max_pixels) if self.on_bad == "skip" else train

    def __len__(self) -> int:
        return len(self.pairs)

    def files(self) -> Sequence[Path]:
        return [pair.image for pair in self.pairs]

    def with_statistics(self, labels: Info, train: Pairs) -> Info:
        """Return `labels` with the channels, white, mean and std that are set, or else measured in `train`."""
        headers = read_headers([pair.image for pair in train], self.max_pixels, strict=self.channels is None)
        if self.max_value is not None:
            check_white(self.max_value)
        window = as_window(self.window)
        reads = max(header.channels for header in headers) if self.channels is None else self.channels
        bands = tuple(reads) if isinstance(reads, Sequence) else ()
        white = self.max_value
        if white is None and window is None:
            white = measure_white(headers, self.max_pixels)
        mean, std = self.mean, self.std
        if mean is None or std is None:
            measured = statistics(train, reads, self.max_pixels, window or white)
            mean, std = measured[0] if mean is None else mean, measured[1] if std is None else std
        exif = orientation.measure(self.exif, [(pair.image, pair.mask) for pair in train], self.max_pixels)
        return replace(
            labels,
            channels=len(bands) if isinstance(reads, Sequence) else reads,
            bands=bands,
            mean=tuple(mean),
            std=tuple(std),
            window=window,
            max_value=white,
            exif=exif,
        )

    def images_line(self) -> str:
        headers = read_headers([pair.image for pair in self.pairs], self.max_pixels, strict=False)
        void = ", and void" if self.masks is not None and any(one.nodata is not None for one in headers) else ""
        return describe(headers, self.info) + void
