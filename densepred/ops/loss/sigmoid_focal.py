"""Focal losses of sigmoids against targets in 0..1. B images, C channels, H x W pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.ops.loss.labels import aligned


def sigmoid_focal(logits: Tensor, truth: Tensor, alpha: float | None, gamma: float) -> Tensor:
    """Return -alpha_t (1 - p_t)^gamma log p_t elementwise (arXiv 1708.02002).

    Targets between 0 and 1 mix both sides, as in torchvision.ops.sigmoid_focal_loss.
    """
    p = logits.sigmoid()
    loss = _power(p + truth - 2 * p * truth, gamma) * F.binary_cross_entropy_with_logits(
        logits, truth, reduction="none"
    )
    return loss if alpha is None else loss * (alpha * truth + (1 - alpha) * (1 - truth))


def penalty_reduced_focal(logits: Tensor, truth: Tensor, alpha: float, beta: float) -> Tensor:
    """Return CornerNet's focal loss of a heat map (arXiv 1808.01244), elementwise.

    Where the target is 1: -(1 - p)^alpha log p; elsewhere -(1 - target)^beta p^alpha log(1 - p).
    """
    peak, p = truth >= 1, logits.sigmoid()
    wrong = torch.where(peak, 1 - p, p)
    certain = F.logsigmoid(torch.where(peak, logits, -logits))
    return -(1 - truth).pow(beta).masked_fill(peak, 1) * _power(wrong, alpha) * certain


def _power(wrong: Tensor, exponent: float) -> Tensor:
    """Return a power of probabilities; exponents below 1 have an infinite gradient at 0, times a loss of 0."""
    return (wrong.clamp_min(torch.finfo(wrong.dtype).tiny) if exponent < 1 else wrong).pow(exponent)


def sums(loss: Tensor, positive: Tensor, weight: Tensor | None) -> Tensor:
    """Return the losses (B, C, H, W) and the number of `positive` locations (B, H, W), weighted sums: (B, 2)."""
    if weight is None:
        return torch.stack([loss.flatten(1).sum(1), positive.to(loss.dtype).flatten(1).sum(1)], 1)
    weight = weight.to(loss.dtype)
    cells = weight if weight.ndim == positive.ndim else weight.amax(1)
    loss = loss * aligned(weight, loss)
    return torch.stack([loss.flatten(1).sum(1), (positive * cells).flatten(1).sum(1)], 1)
