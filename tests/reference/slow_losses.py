"""Losses of class maps as loops over images, classes and pixels: slow, and plain enough to trust."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

VOID = 255


def dice(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None,
    smooth: float,
    per_image: bool,
    include_background: bool,
    include_absent: bool,
) -> float:
    """1 - the mean over classes of (2 intersection + smooth) / (predicted + true + smooth)."""
    groups = [[image] for image in range(len(logits))] if per_image else [list(range(len(logits)))]
    losses = []
    for group in groups:
        areas = [_areas(logits, target, weight, group, k) for k in range(logits.shape[1])]
        somewhere = any(true > 0 for _, _, true in areas)
        for k, (inside, predicted, true) in enumerate(areas):
            if (k == 0 and not include_background) or not (true > 0 or (include_absent and somewhere)):
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


def tversky(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None,
    alpha: float,
    beta: float,
    smooth: float,
    exponent: float,
    per_image: bool,
    include_background: bool,
    include_absent: bool,
) -> float:
    """The mean over classes of (1 - (I + smooth) / (I + alpha FP + beta FN + smooth))^exponent."""
    groups = [[image] for image in range(len(logits))] if per_image else [list(range(len(logits)))]
    losses = []
    for group in groups:
        areas = [_areas(logits, target, weight, group, k) for k in range(logits.shape[1])]
        somewhere = any(true > 0 for _, _, true in areas)
        for k, (inside, predicted, true) in enumerate(areas):
            if (k == 0 and not include_background) or not (true > 0 or (include_absent and somewhere)):
                continue
            invented, missed = predicted - inside, true - inside
            index = (inside + smooth) / (inside + alpha * invented + beta * missed + smooth)
            losses.append((1 - index) ** exponent)
    return sum(losses) / len(losses) if losses else 0.0


def generalised_dice(
    logits: Tensor, target: Tensor, weight: Tensor | None, power: float, include_absent: bool
) -> float:
    """1 - 2 sum w I / sum w (P + T), w = 1 / T^power, of the batch."""
    areas = [_areas(logits, target, weight, list(range(len(logits))), k) for k in range(logits.shape[1])]
    weights = [1 / true**power if true > 0 else None for _, _, true in areas]
    largest = max(w for w in weights if w is not None) if include_absent else 0.0
    above = below = 0.0
    for (inside, predicted, true), w in zip(areas, weights, strict=True):
        w = largest if w is None else w
        above += w * inside
        below += w * (predicted + true)
    return 1 - 2 * above / below


def one_vs_rest(logits: Tensor, target: Tensor, weight: Tensor | None, softmax: bool, classes: list[float]) -> float:
    """-sum over classes of w log q, over the weight of the pixels that count."""
    total = count = 0.0
    for i, y, x, share, probability in _pixels(logits, target, weight, list(range(len(logits)))):
        count += share
        for k, w in enumerate(classes):
            p = probability[k] if softmax else 1 / (1 + math.exp(-float(logits[i, k, y, x])))
            total -= share * w * math.log(p if int(target[i, y, x]) == k else 1 - p)
    return total / count


def hard_pixels(logits: Tensor, target: Tensor, weight: Tensor | None) -> list[tuple[float, float]]:
    """Return (probability of the labelled class, weight) of each pixel that counts, the hardest first."""
    found = _pixels(logits, target, weight, list(range(len(logits))))
    pixels = [(p[int(target[i, y, x])], share) for i, y, x, share, p in found if share > 0]
    return sorted(pixels, key=lambda pixel: pixel[0])


def lovasz(errors: list[float], truth: list[bool], weight: list[float]) -> float:
    """The Lovasz extension by its definition: each error times what its pixel adds to the Jaccard loss of a set."""

    def jaccard_loss(wrong: list[int]) -> float:
        union = sum(w for i, w in enumerate(weight) if truth[i] or i in wrong)
        return sum(weight[i] for i in wrong) / union if union else 0.0

    order = sorted(range(len(errors)), key=lambda i: -errors[i])
    steps = [jaccard_loss(order[: n + 1]) - jaccard_loss(order[:n]) for n in range(len(order))]
    return sum(errors[i] * step for i, step in zip(order, steps, strict=True))


def signed_distance(target: Tensor, k: int, y: int, x: int) -> float:
    """Pixels from (y, x) to the nearest boundary of class k in a class map, negative inside."""
    rows, columns = target.shape
    inside = int(target[y, x]) == k
    others = [
        math.hypot(y - v, x - u)
        for v in range(rows)
        for u in range(columns)
        if int(target[v, u]) != VOID and (int(target[v, u]) == k) != inside
    ]
    if int(target[y, x]) == VOID or not others:
        return 0.0
    return (0.5 - min(others)) if inside else (min(others) - 0.5)


def boundary(logits: Tensor, target: Tensor, weight: Tensor | None) -> float:
    """(p - truth) * distance, the mean over classes and over the weight of the pixels that count."""
    total = count = 0.0
    for i, y, x, share, probability in _pixels(logits, target, weight, list(range(len(logits)))):
        for k, p in enumerate(probability):
            total += share * (p - (int(target[i, y, x]) == k)) * signed_distance(target[i], k, y, x)
            count += share
    return total / count


def focal_one_vs_rest(logits: np.ndarray, target: np.ndarray, weight: np.ndarray, gamma: float, alpha: float) -> float:
    """The lecture's focal loss over q_ki of sigmoids, with the paper's alpha: (B, K, H, W) logits, in numpy alone."""
    p = 1 / (1 + np.exp(-logits))
    y = target[:, None] == np.arange(logits.shape[1])[:, None, None]
    q, balance = np.where(y, p, 1 - p), np.where(y, alpha, 1 - alpha)
    each = (-balance * (1 - q) ** gamma * np.log(q)).mean(1)
    return float((each * weight)[target != VOID].sum() / weight[target != VOID].sum())
