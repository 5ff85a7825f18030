"""An exponential moving average of a model's weights."""

from __future__ import annotations

from torch import nn
from torch.optim.swa_utils import AveragedModel

from densepred.engine import foreach


class MovingAverage(AveragedModel):
    """A copy of a model that follows it: average = decay * average + (1 - decay) * model, buffers too.

    The decay starts low, (1 + n) / (10 + n) after n updates, so that short runs are not averages of random weights.

    `AveragedModel` reads its counter from the device at every update and copies each tensor by itself. Here the host
    counts too, and reads the counter only after a state was loaded.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, use_buffers=True)
        self.decay = decay
        self.updates: int | None = 0
        self.register_load_state_dict_post_hook(_forget)

    def update_parameters(self, model: nn.Module) -> None:
        if self.updates is None:
            self.updates = int(self.n_averaged)
        n, rate = self.updates, 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        pairs = [
            *zip(self.module.parameters(), model.parameters(), strict=True),
            *zip(self.module.buffers(), model.buffers(), strict=True),
        ]
        moved = [pair for pair in pairs if n and pair[0].is_floating_point()]
        copied = [pair for pair in pairs if not (n and pair[0].is_floating_point())]
        foreach.lerp([mean for mean, _ in moved], [value for _, value in moved], rate)
        foreach.copy([mean for mean, _ in copied], [value for _, value in copied])
        self.n_averaged += 1
        self.updates = n + 1


def _forget(average: MovingAverage, _: object) -> None:
    average.updates = None
