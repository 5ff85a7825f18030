"""Computation of a function of many items by loader workers, ahead of their use, in the order of the items."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, Generic, TypeVar

from torch.utils.data import Dataset as TorchDataset

from densepred.errors import UserError
from densepred.loader.loaders import guarded, made
from densepred.loader.samples import Item, failed
from densepred.loader.workers import end_workers

R = TypeVar("R")


def parallel_map(function: Callable[[Any], R], items: Iterable[Any], workers: int) -> Generator[R, None, None]:
    """Yield `function(item)` of each item in order; each of `workers` processes is at most two items ahead.

    The items may come from a generator, which is read no further than that. With workers, function, items and results
    pass between processes, tensors in shared memory. Without workers everything happens here, when it is asked for.
    Raises UserError if a worker is killed or stays halted. Close a generator that is not exhausted: its workers stay.
    """
    if not workers:
        yield from map(function, items)
        return
    loader = made(_Function(function), ([item] for item in items), workers, 0, False, _only)
    try:
        yield from guarded(loader, 0)
    finally:
        end_workers(loader)


class _Function(TorchDataset[Any], Generic[R]):
    """A function as a dataset: the indices are its arguments."""

    def __init__(self, function: Callable[[Any], R]) -> None:
        self.function = function

    def __getitem__(self, index: Any) -> R | Item:
        try:
            return self.function(index)
        except UserError as error:  # raised, it would arrive with a worker's traceback
            return failed(error)


def _only(found: Sequence[R]) -> R:
    return found[0]
