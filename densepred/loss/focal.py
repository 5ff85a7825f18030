"""Focal loss over the classes of a softmax."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from densepred.nn import require_at_least_zero, require_fraction
from densepred.ops.loss.focal import FocalTerm, focal_sums
from densepred.ops.loss.labels import at_least_float32, class_values, per_class
from densepred.ops.loss.softmax import Probabilities, SoftmaxLoss, Term
from densepred.ops.resize.resample import two_channels


class Focal(SoftmaxLoss):
    """alpha (1 - p)^gamma (-log p), https://arxiv.org/abs/1708.02002; the mean divides by the weight of what counts.

    alpha is one number per class. A single number is that of all classes except the first, which gets 1 - alpha: the
    paper's foreground and background.
    """

    linear = True
    alpha: Tensor | None

    def __init__(self, gamma: float = 2.0, alpha: float | Sequence[float] | None = None) -> None:
        super().__init__()
        self.gamma = require_at_least_zero(gamma, "loss.gamma")
        self.foreground = require_fraction(alpha, "loss.alpha") if isinstance(alpha, int | float) else None
        values = None if isinstance(alpha, int | float) else class_values(alpha, "loss.alpha")
        self.register_buffer("alpha", values, persistent=False)

    def alphas(self, logits: Tensor) -> Tensor | None:
        """Return one alpha per class, (K,), for logits (B, K, H, W); None without `alpha`."""
        if self.foreground is None:
            return per_class(self.alpha, logits, "loss.alpha")
        alphas = logits.new_full((logits.shape[1],), self.foreground)
        alphas[0] = 1 - self.foreground
        return alphas

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        logits = two_channels(at_least_float32(pred))
        return focal_sums(logits, target, weight, self.alphas(logits), self.gamma)

    def terms(self, softmax: Probabilities) -> list[Term]:
        return [FocalTerm(softmax, self.alphas(softmax.like), self.gamma)]
