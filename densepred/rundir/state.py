"""Everything that the rest of a training run depends on, in the shape of torch.distributed's `Stateful`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from densepred.contracts import Model
from densepred.errors import UserError
from densepred.rundir.progress import Meter, Progress


@dataclass(slots=True)
class TrainState:
    """A model, what changes it, and how far it has come.

    A model in closed form has neither optimizer nor scaler. `seed` and `frozen` follow from the settings, so they are
    not part of `state_dict`.
    """

    model: Model
    progress: Progress
    meter: Meter = field(default_factory=Meter)
    optimizer: torch.optim.Optimizer | None = None
    average: AveragedModel | None = None
    scaler: torch.amp.GradScaler | None = None
    seed: int = 0
    frozen: Sequence[nn.Module] = ()

    @property
    def eval_model(self) -> Model:
        """The model that is validated and published: the average where there is one."""
        return self.model if self.average is None else cast(Model, self.average.module)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def train_mode(self) -> None:
        """Set the model to training mode, its frozen parts to evaluation mode."""
        self.model.train()
        for part in self.frozen:
            part.eval()

    def state_dict(self) -> dict[str, Any]:
        """Return the three parts of a checkpoint.

        weights: the model's tensors by name; tensors: `optimizer.<index>.<slot>`, `average.<name>` and
        `meter.<loss>`; meta: the counters `progress`, `meter` and `scaler`, ready for JSON.
        """
        tensors: dict[str, Tensor] = {}
        if self.optimizer is not None:
            for index, slots in self.optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{index}.{key}": v for key, v in slots.items() if isinstance(v, Tensor)}
        if self.average is not None:
            tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        sums, counts = self.meter.state()
        tensors |= {f"meter.{name}": value for name, value in sums.items()}
        scaler = {} if self.scaler is None else self.scaler.state_dict()
        meta = {"progress": self.progress.to_json(), "meter": counts, "scaler": scaler}
        return {"weights": self.model.state_dict(), "tensors": tensors, "meta": meta}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned. Raises UserError where a counter is missing."""
        tensors, meta = state["tensors"], state["meta"]
        if missing := {"progress", "meter", "scaler"} - set(meta):
            raise UserError(f"the checkpoint lacks {', '.join(sorted(missing))}; resume from an older one")
        self.model.load_state_dict(state["weights"])
        if self.optimizer is not None:
            groups = self.optimizer.state_dict()["param_groups"]  # they follow from the settings
            self.optimizer.load_state_dict({"state": _slots(tensors), "param_groups": groups})
            _lay_out(self.optimizer)
        if self.average is not None:
            self.average.load_state_dict(_below(tensors, "average."))
        sums = {name: value.to(self.device) for name, value in _below(tensors, "meter.").items()}
        self.meter.restore(sums, meta["meter"])
        if self.scaler is not None:
            self.scaler.load_state_dict(meta["scaler"])
        self.progress.restore(meta["progress"])


def _lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Give each tensor of an optimizer the strides of its parameter, which files do not keep.

    With other strides (channels_last) foreach updates take one kernel per tensor, and fused optimizers raise.
    """
    for parameter, slots in optimizer.state.items():
        for name, value in slots.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                slots[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _slots(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """Return an optimizer's tensors as it keeps them: by index of the parameter, then by name."""
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in _below(tensors, "optimizer.").items():
        index, _, key = name.partition(".")
        slots.setdefault(int(index), {})[key] = value
    return slots


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
