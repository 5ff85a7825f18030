"""An exponential moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """Return a copy of `model` that follows it: new = decay * new + (1 - decay) * model, buffers too.

    The decay starts low, (1 + n) / (10 + n) after n updates, so that short runs are not averages of random weights.
    """

    def follow(average: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        n = int(count)
        rate = 1 - min(decay, (1 + n) / (10 + n))
        for mean, value in zip(average, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, rate)
            else:
                mean.copy_(value)

    return AveragedModel(model, multi_avg_fn=follow, use_buffers=True)
