"""The line `length` counts the samples of an epoch that processes of equal shares leave out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from densepred import distributed
from densepred.jobs import printed_summary
from densepred.loader.loaders import Order
from densepred.settings import DataSettings, TrainSettings


@pytest.mark.parametrize(
    ("samples", "world", "drop_last", "line"),
    [
        (5, 1, False, "2 batches of 4"),
        (6, 2, False, "2 batches of 4"),
        (5, 2, False, "1 batch of 4, 1 sample left out: 2 processes take equal shares of the last"),
        (5, 2, True, "1 batch of 4"),
        (3, 1, False, "1 batch of 3 (all; data.batch_size=4)"),
        (3, 2, False, "1 batch of 2 (data.batch_size=4), 1 sample left out: 2 processes take equal shares of the last"),
    ],
)
def test_the_length_counts_what_an_epoch_leaves_out(
    monkeypatch: pytest.MonkeyPatch, samples: int, world: int, drop_last: bool, line: str
) -> None:
    monkeypatch.setattr(distributed, "world", lambda: world)
    order = Order(samples, 4, 0, drop_last)
    loader: Any = SimpleNamespace(order=order, samples=range(samples))
    settings = TrainSettings(data=DataSettings(batch_size=4, drop_last=drop_last))
    assert printed_summary._batches(loader, len(order), 4) + printed_summary._cut(loader, settings) == line
