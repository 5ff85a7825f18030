"""The counters of a run and their line on the terminal."""

from __future__ import annotations

from densepred.rundir.progress import Progress


def test_the_line_names_both_losses_and_keeps_its_columns() -> None:
    progress = Progress("miou", "max", step=5, epoch=1)
    progress.update({"miou": 0.25, "loss/total": 1.5})
    first = progress.line({"miou": 0.25, "loss/total": 1.5}, None)
    second = progress.line({"miou": 0.00125, "loss/total": 12.25}, 0.75)
    counters = "epoch 1 step 5"
    assert " ".join(first.split()) == f"{counters} train loss - valid loss 1.5000 miou 0.2500 0:00 *"
    assert " ".join(second.split()) == f"{counters} train loss 0.7500 valid loss 12.2500 miou 0.00125 0:00 *"
    assert len(first) == len(second)
