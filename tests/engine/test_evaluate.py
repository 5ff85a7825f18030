"""Losses of an evaluation, and the memory between its batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from densepred.build.instantiate import build
from densepred.engine.evaluate import Losses, decode_and_score
from densepred.task import Task
from densepred.types import Annotation, Batch, Frame, Info


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


@pytest.mark.parametrize(("metric", "asked"), [("confusion", [(2, False)]), ("calibration", [(1, True), (1, True)])])
def test_probabilities_are_made_for_one_image_at_a_time_and_only_if_a_metric_reads_them(
    plain: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, metric: str, asked: list[tuple[int, bool]]
) -> None:
    info = Info(classes=("a", "b"), palette=((0, 0, 0), (9, 9, 9)), provides=("semantic",))
    task = build(plain(f"metric={metric}")["task"], None, "task", info=info)
    assert isinstance(task, Task)
    calls: list[tuple[int, bool]] = []
    decode = task.decode

    def counted(outputs: Any, frames: Any, align_corners: bool, probabilities: bool = False) -> list[Annotation]:
        calls.append((len(frames), probabilities))
        return decode(outputs, frames, align_corners, probabilities)

    monkeypatch.setattr(task, "decode", counted)
    truths = [Annotation((3, 4), semantic=torch.full((3, 4), k, dtype=torch.uint8)) for k in (0, 1)]
    batch = Batch(torch.zeros(2, 3, 3, 4), {}, [Frame(str(k), (3, 4)) for k in (0, 1)], truths)
    logits = torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    found = decode_and_score(task, task.new_metrics(), {"semantic": [logits]}, batch, False)
    assert calls == asked
    assert all(torch.equal(one.need("semantic"), logits[k].argmax(0).byte()) for k, one in enumerate(found))
    assert all(one.probabilities is None for one in found)
