"""Cross-entropy of the hardest pixels of a batch. Nothing here waits for an accelerator.

B images, K classes, N pixels of the batch in one row.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from densepred.ops.loss.labels import counted, ratio, scaled


def pixel_cross_entropy(
    logits: Tensor, target: Tensor, weight: Tensor | None, class_weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return -log p of the label, and the weight of each pixel times that of its class, both (N,).

    Logits (B, K, H, W), float32 or more. Both are 0 for pixels that do not count.
    """
    logits, labels, weight = counted(logits, target, weight)
    weight = scaled(weight, class_weights, labels).flatten()
    loss = -logits.log_softmax(1).gather(1, labels[:, None]).flatten()
    return loss.masked_fill(weight == 0, 0), weight


def below_threshold(loss: Tensor, weight: Tensor, threshold: float, least: int) -> Tensor:
    """Return the mean over pixels with p under the threshold, and in any case over the `least` with the smallest p.

    Ties with the last of these count too.
    """
    counts = weight > 0
    hardness = loss.detach().masked_fill(~counts, -torch.inf)
    limit = math.inf if threshold <= 0 else -math.log(threshold)
    kept = hardness > limit
    if least > 0:
        last = hardness.topk(min(least, len(hardness)), sorted=False).values.amin()
        kept = kept | (hardness >= last)
    kept = (kept & counts) * weight
    return ratio((loss * kept).sum(), kept.sum())


def hardest_of_all(loss: Tensor, weight: Tensor, share: float) -> Tensor:
    """Return the mean over the share of all pixels with the largest weighted loss, rounded down, at least one pixel.

    Pixels that do not count have the loss 0 and are as good as others. The mean divides by the number of pixels.
    """
    return (loss * weight).topk(max(1, int(share * len(loss)))).values.mean()


def hardest_share(loss: Tensor, weight: Tensor, share: float) -> Tensor:
    """Return the mean over the share of pixels with the largest weighted loss, rounded, at least one pixel."""
    weighted = loss * weight
    order = weighted.detach().masked_fill(weight == 0, -torch.inf).topk(max(1, math.ceil(share * len(loss)))).indices
    kept = torch.arange(len(order), device=loss.device) < ((weight > 0).sum() * share).round().clamp_min(1)
    return ratio((weighted[order] * kept).sum(), (weight[order] * kept).sum())
