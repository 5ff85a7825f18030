"""Copies ahead of their use, with streams that record their calls."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import torch

from densepred.loader.prefetch import prefetch
from densepred.types import Batch


class Recorded:
    """A tensor, an event or a stream that writes down its calls."""

    def __init__(self, name: str, told: list[str]) -> None:
        self.name, self.told = name, told

    def record_event(self) -> Recorded:
        self.told.append("event")
        return self

    def wait_event(self, event: Recorded) -> None:
        self.told.append("wait")

    def record_stream(self, stream: Recorded) -> None:
        self.told.append(f"keep {self.name} for {stream.name}")


def test_other_devices_get_batches_as_they_are() -> None:
    batches = [Batch(torch.zeros(1, 3, 2, 2, dtype=torch.uint8)) for _ in range(3)]
    assert list(map(id, prefetch(batches, torch.device("cpu")))) == list(map(id, batches))


def test_the_next_batch_is_copied_before_the_present_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    @contextlib.contextmanager
    def on(stream: Recorded) -> Iterator[None]:
        told.append(f"on {stream.name}")
        yield
        told.append("back")

    def copied(batch: Batch, device: torch.device) -> Batch:
        told.append(f"copy {batch.skipped[0]}")
        return Batch(Recorded(batch.skipped[0], told), skipped=batch.skipped)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Recorded("copies", told))
    monkeypatch.setattr(torch.cuda, "stream", on)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: Recorded("main", told))
    monkeypatch.setattr(Batch, "to", copied)
    batches = (Batch(torch.zeros(0), skipped=[name]) for name in "ab")
    told.extend(f"use {batch.skipped[0]}" for batch in prefetch(batches, torch.device("cuda")))
    copy = ["on copies", "copy {}", "event", "back"]
    first, second = ([word.format(name) for word in copy] for name in "ab")
    use = ["wait", "keep {0} for main", "use {0}"]
    assert told == [*first, *second, *(word.format(name) for name in "ab" for word in use)]
