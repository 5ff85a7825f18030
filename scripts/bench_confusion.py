"""Time of one update of the confusion matrix by that of torchvision's references and of torchmetrics.

Two kinds of maps: `noise`, random labels in both; `blocks`, labels in squares of 32 pixels as objects are, 5 % of the
pixels void, and predictions that differ in a tenth of the pixels. Processor time of one thread, the sides in turn in
one process, medians. The reference of torchvision is the class `ConfusionMatrix` of references/segmentation/utils.py,
which the package does not hold: its `update` stands below.

    python scripts/bench_confusion.py --rounds 7
"""

from __future__ import annotations

import argparse

import torch
from alternate import medians, report
from torch import Tensor

from densepred.ops.score.confusion import confusion
from densepred.types import VOID


def maps(kind: str, classes: int, batch: int, size: int, block: int = 32) -> tuple[Tensor, Tensor]:
    """Draw predictions and labels, (B, H, W) uint8 each."""
    draw = torch.Generator().manual_seed(0)
    if kind == "noise":
        guess, truth = torch.randint(0, classes, (2, batch, size, size), generator=draw, dtype=torch.uint8)
        return guess, truth
    coarse = torch.randint(0, classes, (batch, size // block, size // block), generator=draw, dtype=torch.uint8)
    truth = coarse.repeat_interleave(block, 1).repeat_interleave(block, 2)
    wrong = torch.rand(truth.shape, generator=draw) < 0.1
    guess = truth.clone()
    guess[wrong] = torch.randint(0, classes, (int(wrong.sum()),), generator=draw, dtype=torch.uint8)
    truth[torch.rand(truth.shape, generator=draw) < 0.05] = VOID
    return guess, truth


class Torchvision:
    """Confusion matrix of references/segmentation/utils.py of torchvision."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.matrix = torch.zeros(classes, classes, dtype=torch.int64)

    def update(self, truth: Tensor, guess: Tensor) -> None:
        known = (truth >= 0) & (truth < self.classes)
        pairs = self.classes * truth[known].to(torch.int64) + guess[known]
        self.matrix += torch.bincount(pairs, minlength=self.classes**2).reshape(self.classes, self.classes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", nargs="+", type=int, default=[19, 150])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for kind in ("noise", "blocks"):
        for classes in args.classes:
            compare(kind, classes, args)


def compare(kind: str, classes: int, args: argparse.Namespace) -> None:
    """Print the ratios of one kind of maps, after a check that all sides count the same."""
    from torchmetrics.classification import MulticlassConfusionMatrix

    guess, truth = maps(kind, classes, args.batch, args.size)
    long_guess, long_truth = guess.long(), truth.long()  # the form that the others take
    vision, metrics = Torchvision(classes), MulticlassConfusionMatrix(classes, ignore_index=VOID)
    vision.update(long_truth.flatten(), long_guess.flatten())
    expected = confusion(guess, truth, classes)[:, :classes]
    assert torch.equal(vision.matrix, expected)
    assert torch.equal(metrics(long_guess, long_truth), expected)
    sides = {
        "ours": lambda: confusion(guess, truth, classes),
        "torchvision": lambda: vision.update(long_truth.flatten(), long_guess.flatten()),
        "torchmetrics": lambda: metrics.update(long_guess, long_truth),
    }
    seconds = medians(sides, args.rounds)
    for other in ("torchvision", "torchmetrics"):
        report(f"confusion {kind} K={classes} / {other}", seconds["ours"], seconds[other])


if __name__ == "__main__":
    main()
