"""Decoded samples of a dataset, read once and kept for all epochs, in memory or on the disk.

They lie one behind the other in a file without a name, which every loader worker maps. The system frees it when the
last process has ended, however that happens: nothing is left behind, and no run meets the file of another.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from multiprocessing import reduction
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from densepred.contracts import Dataset
from densepred.errors import UserError
from densepred.loader.parallel_map import parallel_map
from densepred.loader.samples import checked
from densepred.output import many
from densepred.process.memory import free_memory
from densepred.types import Sample

PIXELS = ("semantic", "instances", "ignore", "probabilities", "image")
"""Fields of annotations that grow with the pixels; the others stay objects."""

SHARED = Path("/dev/shm")
"""The folder of files in memory, of Linux."""

FOLDERS = ("ram", "disk")
"""The values of `data.cache`: SHARED, and the system's folder of temporary files."""

KEPT = 0.2
"""Share of the free space that is left to others."""

MEASURED = 20
"""Samples that are decoded to estimate the size of all."""

IMAGE = "sample.image"
"""The key of a sample's image among its parts; an annotation has a field `image` of its own."""

EVERY = 100
"""Samples between two looks at the free space."""

Progress = Callable[[Iterable[Sample | None]], Iterable[Sample | None]]


class Part(NamedTuple):
    """Where the values of a tensor lie in the file."""

    offset: int
    shape: tuple[int, ...]
    dtype: str


class Entry(NamedTuple):
    """A sample without its pixels, and the place of these by field."""

    sample: Sample
    parts: dict[str, Part]


class Cached(Dataset):
    """A dataset that is decoded once. Samples that cannot be read raise their error at each use, as before.

    Samples are equal in every bit. Files that change afterwards are not read again.
    """

    def __init__(self, dataset: Dataset, file: BinaryIO) -> None:
        self.dataset, self.info, self.file = dataset, dataset.info, file
        self.entries: list[Entry | None] = []
        self.map: mmap.mmap | None = None

    def fill(self, samples: Iterable[Sample | None]) -> None:
        """Write the samples, those of all indices in order; None stands for one that cannot be read."""
        self.entries = [None if sample is None else self._written(sample) for sample in samples]
        self.file.flush()
        self.map = mapped(self.file.fileno())

    def _written(self, sample: Sample) -> Entry:
        truth = sample.truth
        pixels: dict[str, Tensor] = {name: getattr(truth, name) for name in PIXELS if name in truth.filled()}
        parts = {name: self._append(value) for name, value in {**pixels, IMAGE: sample.image}.items()}
        empty: dict[str, Any] = dict.fromkeys(pixels)
        bare = replace(truth, **empty)
        return Entry(replace(sample, image=torch.empty(0), truth=bare), parts)

    def _append(self, value: Tensor) -> Part:
        values = value.contiguous().numpy()
        part = Part(self.file.tell(), values.shape, values.dtype.str)
        self.file.write(values.data)
        return part

    @property
    def size(self) -> int:
        """The bytes of all pixels."""
        return self.file.tell() if self.map is None else len(self.map)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        entry = self.entries[index]
        if entry is None:
            return self.dataset[index]
        pixels: dict[str, Any] = {name: self._read(part) for name, part in entry.parts.items()}
        image = pixels.pop(IMAGE)
        rows: dict[str, Any] = {
            name: value.clone() if isinstance(value, Tensor) else list(value)
            for name, value in entry.sample.truth.rows().items()
        }
        return replace(entry.sample, image=image, truth=replace(entry.sample.truth, **rows, **pixels))

    def _read(self, part: Part) -> Tensor:
        """Copy a tensor out of the file: transforms may write into it."""
        assert self.map is not None
        count = int(np.prod(part.shape, dtype=np.int64))
        values = np.frombuffer(self.map, part.dtype, count, part.offset)
        return torch.from_numpy(values.reshape(part.shape).copy())

    def labelled(self, index: int) -> list[int]:
        return self.dataset.labelled(index)

    def files(self) -> Sequence[Path] | None:
        return self.dataset.files()

    def identity(self, index: int) -> tuple[int | str | None, str]:
        return self.dataset.identity(index)

    def images_line(self) -> str:
        return self.dataset.images_line()

    def __getstate__(self) -> dict[str, Any]:
        """Pass the open file to a worker of another start method than fork: it has no name to be opened by."""
        return {**vars(self), "file": reduction.DupFd(self.file.fileno()), "map": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self.file = os.fdopen(state["file"].detach(), "rb")
        self.map = mapped(self.file.fileno())


def mapped(file: int) -> mmap.mmap | None:
    """Map an open file to be read; None if it is empty."""
    return mmap.mmap(file, 0, access=mmap.ACCESS_READ) if os.fstat(file).st_size else None


def cached(dataset: Dataset, kind: str, workers: int, progress: Progress = iter) -> Cached:
    """Decode all samples of a dataset with so many workers and keep them: `kind` is "ram" or "disk".

    Raises UserError if space runs out, see `require` too.
    """
    folder = place(kind)
    found = Cached(dataset, tempfile.TemporaryFile(dir=folder))  # noqa: SIM115 - open as long as the dataset
    try:
        with closing(parallel_map(_Readable(dataset), range(len(dataset)), workers)) as samples:
            found.fill(progress(_within(samples, kind, folder)))
    except BaseException:
        found.file.close()
        raise
    return found


class _Readable:
    """Read a sample; None if that raises a UserError."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __call__(self, index: int) -> Sample | None:
        try:
            return checked(self.dataset[index])
        except UserError:
            return None


def require(datasets: Iterable[Dataset], kind: str) -> None:
    """Raise UserError if all samples of these datasets will not fit, by an estimate."""
    require_space(kind, place(kind), sum(map(estimated, datasets)))


def place(kind: str) -> Path:
    """Return the folder for the file. Raises UserError if this system has no files in memory."""
    if kind == "disk":
        return Path(tempfile.gettempdir())
    if not SHARED.is_dir():
        raise UserError(f"data.cache=ram: this system has no {SHARED}; choose data.cache=disk")
    return SHARED


def estimated(dataset: Dataset) -> int:
    """Estimate the bytes of all decoded samples from a few of them, evenly spread."""
    chosen = range(0, len(dataset), max(1, len(dataset) // MEASURED))
    sizes = [pixel_bytes(sample) for sample in map(_Readable(dataset), chosen) if sample is not None]
    return round(sum(sizes) / max(1, len(sizes)) * len(dataset))


def pixel_bytes(sample: Sample) -> int:
    """Return the bytes of the tensors of a sample that grow with its pixels."""
    tensors = [sample.image, *(getattr(sample.truth, name) for name in PIXELS)]
    return sum(value.numel() * value.element_size() for value in tensors if value is not None)


def free_bytes(kind: str, folder: Path) -> int:
    """Return the bytes that a file in this folder may take, less those that are left to others."""
    free = shutil.disk_usage(folder).free
    memory = free_memory() if kind == "ram" else None
    return int((1 - KEPT) * (free if memory is None else min(free, memory)))


def require_space(kind: str, folder: Path, needed: int) -> None:
    """Raise UserError if so many bytes do not fit into this folder."""
    if needed > (free := free_bytes(kind, folder)):
        other = "choose data.cache=disk, or remove it" if kind == "ram" else "set TMPDIR to another disk, or remove it"
        raise UserError(
            f"data.cache={kind}: the decoded samples take about {needed / 1e9:.3g} GB, and {folder} has room for "
            f"{free / 1e9:.3g} GB, a fifth left free; {other}"
        )


def _within(samples: Iterator[Sample | None], kind: str, folder: Path) -> Iterator[Sample | None]:
    """Yield the samples as long as there is space: the estimate may be too low, and others write too."""
    for number, sample in enumerate(samples):
        if sample is not None and number % EVERY == 0:
            require_space(kind, folder, pixel_bytes(sample) * EVERY)
        yield sample


def describe(datasets: Mapping[str, Cached], kind: str) -> str:
    """Tell on one line how much is kept, and where."""
    kept = [f"{many(len(one), f'{split} image')}, {one.size / 1e6:.3g} MB" for split, one in datasets.items()]
    return f"data.cache={kind}: decoded samples are kept in {place(kind)}: {'; '.join(kept)}"
