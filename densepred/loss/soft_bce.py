"""Binary cross-entropy of sigmoids against targets in 0..1, such as centerness."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.ops.loss.labels import aligned
from densepred.ops.loss.values import counted, element_sums


class SoftBinaryCrossEntropy(SummedLoss):
    """-t log p - (1 - t) log(1 - p), p the sigmoid, over the sum of all weights.

    Its least value is the entropy of the target, which is 0 only where that is 0 or 1.
    """

    target = "values"
    linear = True

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        logits, truth = counted(pred, target, weight)
        loss = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        weight = loss.new_ones(()) if weight is None else weight.to(loss.dtype)
        return element_sums(loss, aligned(weight, loss))
