"""Copies of batches to a CUDA device while it computes on the batch before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from densepred.types import Batch


def prefetch(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Yield the batches on `device`, the next one already on its way, on a stream of its own.

    On other devices batches stay where they are: `Batch.to` moves them when they are used.
    """
    if device.type != "cuda":
        yield from batches
        return
    stream, waiting = torch.cuda.Stream(device), None
    for raw in batches:
        with torch.cuda.stream(stream):
            copied = raw.to(device)
            done = stream.record_event()
        if waiting is not None:
            yield _used(*waiting)
        waiting = (copied, done)
    if waiting is not None:
        yield _used(*waiting)


def _used(batch: Batch, done: torch.Event) -> Batch:
    """Let the current stream wait for the copy; keep its memory until that stream has used it."""
    present = torch.cuda.current_stream()
    present.wait_event(done)
    for value in (batch.image, *batch.targets.values()):
        value.record_stream(present)
    return batch
