"""Samples to batches: the order of an epoch, and the loaders.

The order of the samples and every random number of an augmentation are a pure function of (seed, epoch, index). So a
run resumes in the middle of an epoch by starting at batch k, whatever the number of workers or processes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any, Protocol

import torch
from torch.utils.data import DataLoader

from densepred import distributed
from densepred.errors import FULL_SHARED_MEMORY, NO_THREAD, UNSTARTED, MachineError, WorkerKilled, classed
from densepred.loader.crops import Instances
from densepred.loader.overdue import DONE, Overdue
from densepred.loader.samples import ATTEMPTS, Item, TrainingSamples, failed, stack
from densepred.loader.seeds import random_generator
from densepred.loader.workers import NO_FILE, NO_SHARED, calm_worker, end_workers
from densepred.nn import ceil_div
from densepred.process import control_group, limits, ranks, supervisor
from densepred.process.stop import held
from densepred.types import Batch, Sample, UserError

MOST_BAD = 0.01  # with a larger share of unreadable samples, skipping would hide a broken dataset

LEFT_OUT = "this key leaves out training images alone"


class EvaluationSource(Protocol):
    """Samples of an evaluation: whole images, or crops of instances."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> object: ...

    def batches(self, size: int) -> list[list[int]]: ...

    def inputs(self, indices: Sequence[int]) -> int: ...

    def collate(self, items: Sequence) -> list[Batch]: ...


class Order:
    """The (epoch, index) keys of this process's share of every batch of an epoch, from batch `start` on."""

    def __init__(self, samples: int, batch_size: int, seed: int, drop_last: bool) -> None:
        world = distributed.world()
        if (mistake := ranks.indivisible(batch_size, world)) is not None:
            raise UserError(mistake)
        # Every process needs an equal share, so a short last batch is cut to a multiple of their number.
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
        return ceil_div(self.used, self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        generator = random_generator("order", self.seed, self.epoch)
        order = torch.randperm(self.samples, generator=generator)[: self.used].tolist()
        for batch in range(self.start, len(self)):
            indices = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield [(self.epoch, index) for index in distributed.shard(indices)]


class TrainingLoader:
    """The batches of an epoch, from any batch on."""

    def __init__(self, samples: TrainingSamples, order: Order, workers: int, timeout: float, pin: bool) -> None:
        self.order, self.samples = order, samples
        images = samples.dataset.dataset if isinstance(samples.dataset, Instances) else samples.dataset
        self.most_bad = max(1, int(MOST_BAD * len(images)))  # errors are those of images, not of their instances
        self.bad: set[str] = set() if samples.balance is None else set(samples.balance.errors)
        self.missed = self.shared = 0  # `shared` are those that every process has counted
        self.timeout = timeout
        self.loader = made(samples, order, workers, timeout, pin, stack)

    def __len__(self) -> int:
        return len(self.order)

    def close(self) -> None:
        end_workers(self.loader)

    def facts(self) -> list[str]:
        """Return what was left out so far by any process, and the shares that were not reached; all must call it."""
        self._share()
        found = [f"left out: {reason}" for reason in sorted(self.bad)]
        if self.missed:
            balanced, share = self.samples.balance is not None, self.samples.foreground
            keys = [f"data.foreground={share:g}"] * (share > 0 or not balanced) + ["data.balance=classes"] * balanced
            lack = "no object" if not balanced else "no object or not their class" if share else "not their class"
            found.append(
                f"{' and '.join(keys)}: {self.missed} samples got {lack} in {ATTEMPTS} draws, so their share was "
                "smaller; give larger crops"
            )
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return what `facts` is made of, as JSON; all processes must call it."""
        self._share()
        return {"bad": sorted(self.bad), "missed": self.missed}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what a run has left out before it was resumed; older checkpoints do not hold it."""
        self.bad |= set(state_dict.get("bad", ()))
        self.missed = self.shared = state_dict.get("missed", 0)

    def first(self, count: int) -> list[Sample]:
        """Return the first samples of the first batch as the network gets them, read in this process."""
        order = copy(self.order)  # another epoch may be under way
        order.epoch, order.start = 0, 0
        return [self.samples.augmented(key).sample for key in next(iter(order))[:count]]

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        self.order.epoch, self.order.start = epoch, start
        for batch in guarded(self.loader, self.timeout):
            self.bad.update(batch.skipped)
            self.missed += batch.missed
            if len(self.bad) > self.most_bad:
                raise self._too_many()
            yield batch
        self._share()
        if len(self.bad) > self.most_bad:
            raise self._too_many()

    def _share(self) -> None:
        """Let every process know what others left out; each alone sees a part of the epoch."""
        found = distributed.gather((self.bad, self.missed - self.shared))
        self.bad = set().union(*(bad for bad, _ in found))
        self.shared += sum(missed for _, missed in found)
        self.missed = self.shared

    def _too_many(self) -> UserError:
        return UserError(
            f"data.on_bad=skip: {len(self.bad)} samples cannot be read, more than {MOST_BAD:.0%} of the dataset; "
            f"repair the files: {sorted(self.bad)[0]}"
        )


class EvaluationLoader:
    """This process's share of a dataset, in batches of equal size: images are never padded to fit their neighbours."""

    def __init__(
        self,
        samples: EvaluationSource,
        batch_size: int,
        workers: int,
        timeout: float,
        pin: bool,
        prefix: str = "valid",
        skip_bad: bool = False,
    ) -> None:
        if len(samples) == 0:
            raise UserError(f"the {prefix} split of the dataset is empty; check dataset.root and dataset.splits")
        mine = distributed.shard(samples.batches(batch_size))
        self.batch_size, self.timeout, self.skip_bad = batch_size, timeout, skip_bad
        self.count = sum(map(samples.inputs, mine))  # inputs of the network in this process
        self.loader = made(samples, mine, workers, timeout, pin, samples.collate)

    def __iter__(self) -> Iterator[Batch]:
        try:
            for batches in guarded(self.loader, self.timeout):
                yield from batches
        except UserError as error:
            if not self.skip_bad or isinstance(error, MachineError):
                raise
            raise UserError(f"data.on_bad=skip: {LEFT_OUT}; {error}") from error

    def __len__(self) -> int:
        return len(self.loader)

    def close(self) -> None:
        end_workers(self.loader)


def made(samples, batches, workers: int, timeout: float, pin: bool, collate) -> DataLoader:
    """Make a loader; its workers outlive signals to the process group. Iterate over it by `guarded`."""
    if timeout:
        supervisor.expect(timeout)
    if workers:
        limits.require_sockets()
    with _many_workers():
        return DataLoader(
            samples,
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=_Collate(collate),
            pin_memory=pin,
            persistent_workers=workers > 0,
            worker_init_fn=calm_worker,
        )


class _Collate:
    """Collation that returns its error: an exception would arrive as fourteen lines of a worker's traceback."""

    def __init__(self, collate: Callable) -> None:
        self.collate = collate

    def __call__(self, items: Sequence[Item]) -> object:
        try:
            return self.collate(items)
        except UserError as error:
            return failed(error)


LIMITS = {
    UNSTARTED: NO_THREAD,
    NO_FILE: "the limit of open files: a loader worker reached it; raise it (ulimit -n), or lower data.workers",
    NO_SHARED: FULL_SHARED_MEMORY,
}
"""Limits that end a worker, by its exit code."""


def guarded(loader: DataLoader, timeout: float) -> Iterator:
    """Yield the loader's batches. Raises UserError for an error in a worker, and if a batch takes longer than that.

    With a timeout of 0 it may take any time.
    """
    kills = control_group.memory_kills()
    try:
        yield from _guarded(loader, timeout)
    except WorkerKilled as error:  # torch does not always tell the exit code
        codes = {worker.exitcode for worker in getattr(loader._iterator, "_workers", ())}
        sentence = next((LIMITS[code] for code in LIMITS if code in codes), None)
        if sentence is None and (known := control_group.killed_since(kills)) is not None:
            sentence = f"a loader worker was killed: {known}; lower data.workers or data.batch_size"
        if sentence is None:
            raise
        raise WorkerKilled(sentence) from error


def _guarded(loader: DataLoader, timeout: float) -> Iterator:
    with explained():
        iterator = _begun(loader)
        with Overdue(iterator, timeout) as overdue:
            while (batch := overdue.next()) is not DONE:
                if isinstance(batch, Item):
                    batch.require()
                yield batch


def _begun(loader: DataLoader) -> Iterator:
    """Start the workers. An error of one that ends at once is raised when its traceback, which holds torch's iterator,
    is gone: until then torch raises an error again at the end of any process.
    """
    failed = None
    try:
        with _many_workers(), held():  # torch cannot take back an iterator that is cut while its workers start
            return iter(loader)
    except (RuntimeError, MemoryError) as error:
        failed = classed(error)
        if failed is None:
            raise
    raise failed


@contextmanager
def _many_workers() -> Iterator[None]:
    """Drop torch's warning of more workers than processors, given by constructors or by iterators as releases differ.

    They are slower, not wrong; the warning would come at every start of a run, in the words of torch.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")
        yield


@contextmanager
def explained() -> Iterator[None]:
    """Turn torch's errors about a worker, memory or another process into a UserError.

    A signal raises those about a worker wherever the program is.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        found = classed(error)
        if found is None:
            raise
        raise found from error
