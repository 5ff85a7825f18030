"""A small network overfits four scenes with every head."""

from __future__ import annotations

from pathlib import Path

from tests import running


def test_a_run_overfits_four_scenes(tmp_path: Path) -> None:
    running.train(
        tmp_path,
        *("task=panoptic", "loss=ce", "transform=none", "encoder.widths=[8,16,32]", "task.codec.sigma=3"),
        *("dataset.objects=[1,3]", "dataset.counts={train: 4, valid: 4, test: 1}", "scheduler=one_cycle"),
        *("trainer.max_steps=60", "trainer.valid_every=1000", "optimizer.lr=0.02"),
        *("task.weights.offset=0.3", "optimizer.groups={heads.offset: {lr: 10}}"),
    )
    steps = [line for line in running.metrics(tmp_path) if "train/loss/total" in line]
    fallen = {name: steps[-1][f"train/loss/{name}"] / steps[0][f"train/loss/{name}"] for name in HEADS}
    assert all(fallen[name] < most for name, most in HEADS.items())


HEADS = {"semantic": 0.6, "center": 0.1, "offset": 0.7}
"""Largest share of each loss that may remain."""
