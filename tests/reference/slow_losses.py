"""Losses of class maps as loops over images, classes and pixels: slow, and plain enough to trust."""

from __future__ import annotations

import math

from torch import Tensor

VOID = 255


def dice(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None,
    smooth: float,
    per_image: bool,
    background: bool,
    absent: bool,
) -> float:
    """1 - the mean over classes of (2 intersection + smooth) / (predicted + true + smooth)."""
    groups = [[image] for image in range(len(logits))] if per_image else [list(range(len(logits)))]
    losses = []
    for group in groups:
        areas = [_areas(logits, target, weight, group, k) for k in range(logits.shape[1])]
        somewhere = any(true > 0 for _, _, true in areas)
        for k, (inside, predicted, true) in enumerate(areas):
            if (k == 0 and not background) or not (true > 0 or (absent and somewhere)):
                continue
            losses.append(1 - (2 * inside + smooth) / (predicted + true + smooth))
    return sum(losses) / len(losses) if losses else 0.0


def _areas(
    logits: Tensor, target: Tensor, weight: Tensor | None, images: list[int], k: int
) -> tuple[float, float, float]:
    inside = predicted = true = 0.0
    for i, y, x, share, probability in _pixels(logits, target, weight, images):
        predicted += share * probability[k]
        if int(target[i, y, x]) == k:
            inside += share * probability[k]
            true += share
    return inside, predicted, true


def focal(logits: Tensor, target: Tensor, weight: Tensor | None, gamma: float, alpha: list[float]) -> float:
    """alpha (1 - p)^gamma (-log p), over the weight of the pixels that count."""
    total = count = 0.0
    for i, y, x, share, probability in _pixels(logits, target, weight, list(range(len(logits)))):
        truth = int(target[i, y, x])
        p = probability[truth]
        total += share * alpha[truth] * (1 - p) ** gamma * -math.log(p)
        count += share
    return total / count if count else 0.0


def _pixels(logits: Tensor, target: Tensor, weight: Tensor | None, images: list[int]):
    """Each pixel that is not void, with its weight and its softmax."""
    for i in images:
        for y in range(target.shape[1]):
            for x in range(target.shape[2]):
                if int(target[i, y, x]) == VOID:
                    continue
                powers = [math.exp(float(score)) for score in logits[i, :, y, x]]
                share = 1.0 if weight is None else float(weight[i, y, x])
                yield i, y, x, share, [power / sum(powers) for power in powers]
