"""Losses of an evaluation, and the memory between its batches."""

from __future__ import annotations

import torch

from densepred.engine.evaluate import Losses
from densepred.types import Frame


def test_losses_are_means_over_images_whether_they_are_read_between_batches_or_not() -> None:
    whole, parts = Losses(), Losses()
    for number, (count, value) in enumerate(((2, 1.0), (2, 2.0), (1, 6.0))):
        frames = [Frame(f"{number}{index}", (4, 5)) for index in range(count)]
        terms = {"total": torch.tensor(value), "semantic": torch.tensor(value / 4)}
        whole.add(frames, terms)
        parts.add(frames, terms)
        parts.read()
    assert whole.means() == parts.means() == {"loss/total": 12 / 5, "loss/semantic": 3 / 5}
    assert Losses().means() == {}
