"""Lovasz loss: a convex surrogate of intersection over union."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.contracts import Loss
from densepred.ops.loss.labels import at_least_float32, counted, one_hot, ratio
from densepred.ops.loss.lovasz import lovasz_extension


class Lovasz(Loss):
    """Lovasz-Softmax of several channels, the Lovasz hinge of one channel, https://arxiv.org/abs/1705.08790.

    The errors of a class are |target - softmax|, those of the hinge max(0, 1 - x) for class 1 and max(0, 1 + x) for
    class 0. Pixels are those of one device's batch; with `per_image` the loss is the mean over the losses of images.
    Classes without a pixel in the ground truth are left out of the mean, unless `include_absent`. The hinge is that of
    class 1 alone, present or not.
    """

    target = "classes"

    def __init__(self, per_image: bool = False, include_background: bool = True, include_absent: bool = False) -> None:
        super().__init__()
        self.per_image, self.include_background, self.include_absent = per_image, include_background, include_absent

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        logits = at_least_float32(pred)
        logits, labels, weight = counted(logits, target, weight)
        hinge = logits.shape[1] == 1
        if hinge:
            truth = (labels == 1)[:, None]
            errors = torch.where(truth, 1 - logits, 1 + logits).relu()
        else:
            truth = one_hot(labels, logits.shape[1])
            probability = logits.softmax(1)
            errors = torch.where(truth, 1 - probability, probability)
        first = 0 if hinge or self.include_background else 1
        groups = range(len(labels)) if self.per_image else [slice(None)]
        each = [self._classes(errors[i], truth[i], weight[i], first, hinge) for i in groups]
        lost, counts = (torch.stack(part) for part in zip(*each, strict=True))
        return ratio(ratio(lost, counts).sum(), (counts > 0).sum())

    def _classes(self, errors: Tensor, truth: Tensor, weight: Tensor, first: int, hinge: bool) -> tuple[Tensor, Tensor]:
        """Return the sum of the losses of classes that count, and their number, for (B, K, H, W) or (K, H, W)."""
        flat = weight.flatten()
        lost, counts = [], []
        for k in range(first, errors.shape[-3]):
            inside = truth.select(-3, k).flatten()
            present = (flat if hinge or self.include_absent else flat * inside).sum() > 0
            lost.append(lovasz_extension(errors.select(-3, k).flatten(), inside, flat) * present)
            counts.append(present.to(flat.dtype))
        return torch.stack(lost).sum(), torch.stack(counts).sum()
