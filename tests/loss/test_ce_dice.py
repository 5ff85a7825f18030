from __future__ import annotations

import torch

from densepred.loss.ce import CrossEntropy
from densepred.loss.ce_dice import CrossEntropyDice
from densepred.loss.dice import Dice
from densepred.types import VOID


def test_it_is_the_weighted_sum_of_both() -> None:
    logits, target = torch.randn(2, 3, 9, 7), torch.randint(0, 3, (2, 9, 7), dtype=torch.uint8)
    target[0, :2], weight = VOID, torch.rand(2, 9, 7)
    weights = [1.0, 2.0, 0.5]
    wanted = 0.5 * CrossEntropy(weights, 0.1)(logits, target, weight)
    wanted += 2 * Dice(0.1, True, False, True)(logits, target, weight)
    both = CrossEntropyDice(0.5, 2.0, weights, 0.1, 0.1, True, False, True)
    torch.testing.assert_close(both(logits, target, weight), wanted)
