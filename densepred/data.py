"""Samples to batches: order, augmentation, targets, collation.

The order of the samples and every random number of an augmentation are a pure function of (seed, epoch, index). So a
run resumes in the middle of an epoch by starting at batch k, whatever the number of workers or processes.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from densepred import distributed
from densepred.contracts import Codec, Dataset
from densepred.stop import calm_worker
from densepred.types import Annotation, Batch, Frame, Sample, UserError

Augment = Callable[[Sample, torch.Generator], Sample]
MOST_BAD = 0.01  # the share of unreadable samples above which skipping them would hide a broken dataset


def random_generator(*parts: int | str) -> torch.Generator:
    """A generator that depends on nothing but `parts`, equally on every machine."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


@dataclass(slots=True)
class Item:
    """A sample on its way through the loader. An error travels as its message: it must reach the user in one line."""

    image: Tensor | None = None
    targets: dict[str, Tensor] | None = None
    frame: Frame | None = None
    truth: Annotation | None = None
    skipped: str | None = None
    error: str | None = None


class TrainingSamples(TorchDataset[Item]):
    """Augmented samples with their targets, by (epoch, index)."""

    def __init__(self, dataset: Dataset, augment: Augment, codec: Codec, seed: int, skip_bad: bool) -> None:
        self.dataset, self.augment, self.codec, self.seed, self.skip_bad = dataset, augment, codec, seed, skip_bad

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: tuple[int, int]) -> Item:
        epoch, index = key
        generator = random_generator("augment", self.seed, epoch, index)
        try:
            sample, skipped = self._read(index)
            sample = with_image(self.augment(sample, generator), self.codec)
            shown = self.codec.corrupt(sample.image, generator)
            return Item(shown, self.codec.encode(sample.truth), sample.frame, skipped=skipped)
        except UserError as error:
            return Item(error=str(error))

    def _read(self, index: int) -> tuple[Sample, str | None]:
        """The sample, or where it is bad and may be skipped the next good one and the reason."""
        reason = None
        for offset in range(len(self.dataset)):
            try:
                return self.dataset[(index + offset) % len(self.dataset)], reason
            except UserError as error:
                if not self.skip_bad:
                    raise
                reason = reason or str(error)
        raise UserError(f"no sample of the dataset can be read; the first says: {reason}")


class EvaluationSamples(TorchDataset[Item]):
    """Samples as they are, but for the transform of evaluation, with targets and untransformed truth."""

    def __init__(self, dataset: Dataset, transform: Augment, codec: Codec) -> None:
        self.dataset, self.transform, self.codec = dataset, transform, codec

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Item:
        try:
            sample, generator = self.dataset[index], random_generator("evaluate", index)
            moved = with_image(self.transform(sample, generator), self.codec)
            truth = with_image(sample, self.codec).truth
            return Item(self.codec.corrupt(moved.image, generator), self.codec.encode(moved.truth), moved.frame, truth)
        except UserError as error:
            return Item(error=str(error))


def with_image(sample: Sample, codec: Codec) -> Sample:
    """The sample whose truth holds its image, where the codec needs one and the dataset gave none."""
    if "image" not in codec.needs or sample.truth.image is not None:
        return sample
    return replace(sample, truth=replace(sample.truth, image=sample.image))


class Order:
    """The (epoch, index) keys of this process's part of every global batch of one epoch, from batch `start` on."""

    def __init__(self, samples: int, batch_size: int, seed: int, drop_last: bool) -> None:
        world = distributed.world()
        if batch_size % world:
            raise UserError(f"data.batch_size={batch_size} does not divide over {world} devices; make it a multiple")
        # Every process needs an equal part, so a short last batch is cut to a multiple of the processes.
        last = 0 if drop_last else samples % batch_size // world * world
        self.seed, self.samples, self.batch_size = seed, samples, batch_size
        self.used = samples // batch_size * batch_size + last
        self.epoch, self.start = 0, 0
        if self.used == 0:
            raise UserError(
                f"{samples} training samples make no batch of {batch_size}; "
                "lower data.batch_size or set data.drop_last=false"
            )

    def __len__(self) -> int:
        return -(-self.used // self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        generator = random_generator("order", self.seed, self.epoch)
        order = torch.randperm(self.samples, generator=generator)[: self.used].tolist()
        for batch in range(self.start, len(self)):
            indices = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield [(self.epoch, index) for index in distributed.shard(indices)]


class TrainingLoader:
    """The batches of an epoch, from any batch on."""

    def __init__(self, samples: TrainingSamples, order: Order, workers: int, timeout: float, pin: bool) -> None:
        self.order = order
        self.most_bad = max(1, int(MOST_BAD * len(samples)))
        self.bad: set[str] = set()
        self.loader = _loader(samples, order, workers, timeout, pin, stack)

    def __len__(self) -> int:
        return len(self.order)

    def close(self) -> None:
        _end_workers(self.loader)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        self.order.epoch, self.order.start = epoch, start
        for batch in _guarded(self.loader):
            self.bad.update(batch.skipped)
            if len(self.bad) > self.most_bad:
                raise UserError(
                    f"{len(self.bad)} samples cannot be read, more than {MOST_BAD:.0%} of the dataset; mend the files: "
                    + sorted(self.bad)[0]
                )
            yield batch


class EvaluationLoader:
    """This process's share of a dataset, in batches of equal size: images are never padded to fit their neighbours."""

    def __init__(
        self,
        samples: EvaluationSamples,
        batch_size: int,
        workers: int,
        timeout: float,
        pin: bool,
        prefix: str = "valid",
    ) -> None:
        if len(samples) == 0:
            raise UserError(f"the {prefix} split of the dataset is empty; check dataset.root and dataset.splits")
        indices = list(range(len(samples)))
        chunks = [indices[i : i + batch_size] for i in range(0, len(indices), batch_size)]
        mine = distributed.shard(chunks)
        self.count = sum(map(len, mine))  # samples of this process
        self.loader = _loader(samples, mine, workers, timeout, pin, stack_equal)

    def __iter__(self) -> Iterator[Batch]:
        for batches in _guarded(self.loader):
            yield from batches

    def __len__(self) -> int:
        return len(self.loader)

    def close(self) -> None:
        _end_workers(self.loader)


def stack(items: Sequence[Item]) -> Batch:
    """Items of one shape to a batch."""
    if errors := [item.error for item in items if item.error]:
        raise UserError(errors[0])
    images = [item.image for item in items if item.image is not None]
    if len({image.shape for image in images}) > 1:
        shapes = sorted({f"{tuple(image.shape[-2:])}" for image in images})
        raise UserError(
            f"the images of a batch have sizes {' and '.join(shapes[:3])}; "
            "set data.crop=[H,W] or data.batch_size=1, or resize in transform.train"
        )
    targets = [item.targets for item in items if item.targets is not None]
    return Batch(
        torch.stack(images),
        {name: torch.stack([target[name] for target in targets]) for name in targets[0]},
        [item.frame for item in items if item.frame is not None],
        [item.truth for item in items if item.truth is not None],
        [item.skipped for item in items if item.skipped],
    )


def stack_equal(items: Sequence[Item]) -> list[Batch]:
    """Items of any shape to one batch for each shape, in the order in which the shapes appear."""
    groups: dict[torch.Size, list[Item]] = defaultdict(list)
    for item in items:
        if item.error:
            raise UserError(item.error)
        assert item.image is not None
        groups[item.image.shape].append(item)
    return [stack(group) for group in groups.values()]


def _loader(samples, batches, workers: int, timeout: float, pin: bool, collate) -> DataLoader:
    return DataLoader(
        samples,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=_Collate(collate),
        pin_memory=pin,
        persistent_workers=workers > 0,
        worker_init_fn=calm_worker,
        timeout=timeout if workers else 0,
    )


def _end_workers(loader: DataLoader) -> None:
    """End the workers now: those that are alive when Python exits end with a traceback."""
    iterator = getattr(loader, "_iterator", None)
    if iterator is not None:
        iterator._shutdown_workers()


class _Collate:
    """Collation whose error is a value: an exception would arrive as fourteen lines of a worker's traceback."""

    def __init__(self, collate: Callable) -> None:
        self.collate = collate

    def __call__(self, items: Sequence[Item]) -> object:
        try:
            return self.collate(items)
        except UserError as error:
            return Item(error=str(error))


def _guarded(loader: DataLoader) -> Iterator:
    """The loader's batches; what goes wrong in a worker as one sentence."""
    try:
        for batch in loader:
            if isinstance(batch, Item):
                raise UserError(batch.error)
            yield batch
    except RuntimeError as error:
        text = str(error)
        if "DataLoader worker" in text:
            raise UserError(
                "a loader worker was killed, often for want of memory; lower data.workers or data.batch_size"
            ) from error
        if "timed out" in text:
            raise UserError(
                "no batch came within data.timeout_s; is the disk slow? raise data.timeout_s or set data.workers=0"
            ) from error
        raise
