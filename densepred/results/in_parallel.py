"""Images predicted by several processes: their files are those of one image after another, in the same order.

On a CPU each worker takes whole images, from the file to the results, with one thread. An accelerator stays with this
process: some workers read, it computes batches of images of one size, and other workers draw and write.
"""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from densepred.contracts import Codec
from densepred.dataset.image import Stored, read_as_trained
from densepred.dataset.image_header import read_headers
from densepred.engine import detection_limits
from densepred.errors import MachineError, Notice, UserError, classed, notices, out_of_memory
from densepred.exporting.runtime import RuntimeModel
from densepred.loader import workers
from densepred.loader.parallel_map import parallel_map
from densepred.predictor import Predictor
from densepred.results.files import clean
from densepred.results.interruption import counted, explained
from densepred.results.latents import Row
from densepred.results.predicting import Found, Predicting, Work, Writers
from densepred.types import Annotation, Info

SMALL = 2**18
"""Pixels up to which an image is small: several are faster with a thread each than one by one with all threads."""

EACH = {"fork": 2, "spawn": 100, "forkserver": 100}
"""Images per worker, by start method, from which workers are worth their start: all but a fork import torch anew."""

TOGETHER = 8
"""Images of one size per batch on an accelerator."""

READERS = 4
"""One of so many workers beside an accelerator reads, the others draw and write, which takes longer."""


@dataclass(slots=True)
class Outcome:
    """Result of an image in the process that took it, and the facts that this process adds to those about all images.

    error: why this image has no results; fatal: why no other would have any; told: notices
    full, kinds, hidden, latents: see `detection_limits.take_full`, `Results.taken` and `Latents.taken`
    """

    error: str | None = None
    fatal: UserError | None = None
    told: list[str] = field(default_factory=list)
    full: int = 0
    kinds: dict[str, str] = field(default_factory=dict)
    hidden: list[float] = field(default_factory=list)
    latents: tuple[list[Row], list[list[float]] | None] | None = None


class _Read(NamedTuple):
    """An image that was read, or the reason why it was not."""

    work: Work
    stored: Stored | None
    outcome: Outcome


def number(model: Predictor, settings: Any, files: Sequence[Path], mapped: bool) -> int:
    """Return the number of workers for the setting `workers`; with 0 everything happens in this process.

    On a CPU `auto` is 0 for large images, and one per thread of torch for small ones. It is 0 for few images. Windows,
    and images that lie on a map, go through memory in parts, in this process.
    """
    if settings.tile is not None or mapped:
        if mapped and settings.workers not in (0, workers.AUTO):
            text = f"workers={settings.workers}: has no effect: images that lie on a map are predicted in one process"
            warnings.warn(text, Notice, stacklevel=2)
        return 0
    if settings.workers != workers.AUTO:
        return int(settings.workers)
    most = workers.number(workers.AUTO, model.device)
    if model.device.type == "cpu":
        most = min(torch.get_num_threads(), workers.MANY)
        headers = read_headers(files, settings.max_pixels, strict=False)
        if most == 1 or max((header.size[0] * header.size[1] for header in headers), default=0) > SMALL:
            return 0
    return most if len(files) >= most * EACH[multiprocessing.get_start_method()] else 0


def outcomes(predicting: Predicting, works: Sequence[Work], number: int) -> Generator[Outcome, None, None]:
    """Predict the images with `number` workers; yield the outcome of each, in order.

    Raises UserError if no further image can be predicted: the disk is full, a worker was killed.
    """
    if predicting.settings.batch_size is not None and predicting.model.task.codec.top_down:
        text = (
            f"batch_size={predicting.settings.batch_size}: has no effect: the model predicts the instances of an image"
        )
        warnings.warn(text, Notice, stacklevel=2)
    results = (
        _divided(predicting, works, number) if _central(predicting) else parallel_map(_Alone(predicting), works, number)
    )
    try:
        with closing(results), closing(counted(results, len(works))) as found:
            for outcome in found:
                _join(predicting, outcome)
                yield outcome
    except BaseException as error:
        if number:
            clean(predicting.writers.results.folder)  # workers that were ended leave files half written
        if not isinstance(error, MachineError):
            raise
        # Its sentence names the keys of a training
        raise type(error)(str(error).replace("data.workers", "workers").replace("data.batch", "batch")) from error


def _central(predicting: Predicting) -> bool:
    """Return True if this process computes what others read and write."""
    model, settings = predicting.model, predicting.settings
    if settings.tile is not None or predicting.writers.maps is not None:
        return False
    # An exported file does not pass to other processes
    return model.device.type != "cpu" or isinstance(model.model, RuntimeModel) or (settings.batch_size or 1) > 1


class _Alone:
    """Predict an image from its file to its results."""

    def __init__(self, predicting: Predicting) -> None:
        self.predicting = predicting

    def __call__(self, work: Work) -> Outcome:
        outcome = Outcome()
        with _attempted(outcome, work.file, self.predicting.settings.tile):
            self.predicting(work)
        _take(outcome, self.predicting.writers, self.predicting.model.task.codec)
        return outcome


def _divided(predicting: Predicting, works: Sequence[Work], number: int) -> Generator[Outcome, None, None]:
    """Read and write by workers, compute here."""
    model, settings = predicting.model, predicting.settings
    readers = max(1, number // READERS) if number else 0
    size = settings.batch_size or (1 if model.device.type == "cpu" else TOGETHER)
    images = parallel_map(_Reader(model.info, settings.max_pixels), works, readers)
    found = _computed(predicting, images, size if predicting.joinable() else 1)
    results = parallel_map(_Writer(predicting.writers), found, max(1, number - readers) if number else 0)
    with closing(images), closing(found), closing(results):
        yield from results


class _Reader:
    """Read the file of an image."""

    def __init__(self, info: Info, max_pixels: int) -> None:
        self.info, self.max_pixels = info, max_pixels

    def __call__(self, work: Work) -> _Read:
        outcome, stored = Outcome(), None
        with _attempted(outcome, work.file):
            stored = read_as_trained(work.file, self.info, self.max_pixels)
        return _Read(work, stored, outcome)


def _computed(
    predicting: Predicting, images: Iterable[_Read], size: int
) -> Generator[tuple[Outcome, Found | None], None, None]:
    """Predict the images in batches of at most `size` that follow one another and have one size."""
    for batch in _batches(images, size):
        found = _whole_batch(predicting, batch) if len(batch) > 1 else None
        for index, read in enumerate(batch):
            yield read.outcome, _single(predicting, read) if found is None else _on_cpu(found[index])


def _batches(images: Iterable[_Read], size: int) -> Iterator[list[_Read]]:
    batch: list[_Read] = []
    for read in images:
        if batch and (len(batch) == size or _shape(read) is None or _shape(read) != _shape(batch[0])):
            yield batch
            batch = []
        batch.append(read)
    if batch:
        yield batch


def _shape(read: _Read) -> torch.Size | None:
    return None if read.stored is None else read.stored.image.shape


def _whole_batch(predicting: Predicting, batch: Sequence[_Read]) -> list[Found] | None:
    """Predict images of one size; None if they are to be tried one by one: each then has an error of its own."""
    try:
        return predicting.find([(read.work, read.stored) for read in batch if read.stored is not None])
    except (UserError, MemoryError, RuntimeError) as error:
        if not isinstance(error, UserError) and not out_of_memory(error):
            raise
        return None


def _single(predicting: Predicting, read: _Read) -> Found | None:
    if read.stored is None:
        return None
    found: list[Found] = []
    with _attempted(read.outcome, read.work.file):
        found = [_on_cpu(one) for one in predicting.find([(read.work, read.stored)])]
    return found[0] if found else None


def _on_cpu(found: Found) -> Found:
    """Move a prediction to the memory that processes share."""
    annotation = found.annotation
    tensors = {name: value for name in annotation.filled() if isinstance(value := getattr(annotation, name), Tensor)}
    changed: dict[str, Any] = {name: value.cpu() for name, value in tensors.items()}
    moved: Annotation = replace(annotation, **changed)
    return found._replace(annotation=moved, latent=None if found.latent is None else found.latent.cpu())


class _Writer:
    """Write the results of an image."""

    def __init__(self, writers: Writers) -> None:
        self.writers = writers

    def __call__(self, result: tuple[Outcome, Found | None]) -> Outcome:
        outcome, found = result
        if found is not None:
            with _attempted(outcome, found.work.file):
                self.writers.write(found)
        _take(outcome, self.writers)
        return outcome


@contextmanager
def _attempted(outcome: Outcome, file: Path, tile: int | None = None) -> Iterator[None]:
    """Note an error of the user or the machine in the outcome, and notices: neither passes between processes."""
    try:
        with notices(outcome.told.append), explained(file, tile):
            yield
    except UserError as error:
        outcome.error = str(error)
    except Exception as error:
        outcome.fatal = classed(error)
        if outcome.fatal is None:
            raise


def _take(outcome: Outcome, writers: Writers, codec: Codec | None = None) -> None:
    """Move what the writers and the codec have counted into the outcome."""
    outcome.kinds, outcome.hidden = writers.results.taken()
    outcome.latents = None if writers.latents is None else writers.latents.taken()
    outcome.full = 0 if codec is None else detection_limits.take_full(codec)


def _join(predicting: Predicting, outcome: Outcome) -> None:
    """Tell the notices of an outcome, and move what was counted into this process. Raises what is fatal."""
    for text in outcome.told:
        warnings.warn(text, Notice, stacklevel=2)
    if outcome.fatal is not None:
        raise outcome.fatal
    writers = predicting.writers
    writers.results.merge(outcome.kinds, outcome.hidden)
    if writers.latents is not None and outcome.latents is not None:
        writers.latents.merge(*outcome.latents)
    detection_limits.add_full(predicting.model.task.codec, outcome.full)
