"""A signal, or memory that runs out, in the middle of many images: one line with the place and the remedy."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from densepred.errors import UserError, out_of_memory
from densepred.process.stop import Stopped

T = TypeVar("T")


@contextmanager
def stopping(done: int, count: int | None) -> Iterator[None]:
    """Tell how many images were predicted if a signal comes at the next."""
    try:
        yield
    except Stopped as reason:
        of = "" if count is None else f"of {count} "
        raise Stopped(f"{done} {of}images are predicted; type the command again for all of them") from reason


def counted(items: Iterator[T], count: int) -> Generator[T, None, None]:
    """Yield the items; tell how many images came if a signal arrives while one is computed."""
    for done in range(count):
        with stopping(done, count):
            item = next(items)
        yield item


@contextmanager
def explained(file: Path, tile: int | None) -> Iterator[None]:
    """Raise UserError with a remedy if memory runs out at an image."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        hint = "tile=512" if tile is None else f"a smaller tile than {tile}"
        raise UserError(f"{file}: memory ran out; try {hint}") from error
