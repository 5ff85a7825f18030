"""Everything that the rest of a training run depends on, in the shape of torch.distributed's `Stateful`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from densepred import distributed
from densepred.contracts import Model
from densepred.errors import UserError
from densepred.rundir import schema
from densepred.rundir.progress import Meter, Progress

KEEP_SLOTS = tuple(
    f"optimizer.{key}" for key in ("lr", "weight_decay", "betas", "eps", "momentum", "nesterov", "groups")
)
"""Settings of optimizers that may change without a new state."""


class Stateful(Protocol):
    """The protocol of torch.distributed.checkpoint.stateful; importing that takes seconds."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


@dataclass(slots=True)
class TrainState:
    """A model, what changes it, and how far it has come.

    A model in closed form has neither optimizer nor scaler. `seed` and `frozen` follow from the settings, so they are
    not part of `state_dict`. `loader` knows which images were left out so far.
    """

    model: Model
    progress: Progress
    meter: Meter = field(default_factory=Meter)
    optimizer: torch.optim.Optimizer | None = None
    average: AveragedModel | None = None
    scaler: torch.amp.GradScaler | None = None
    seed: int = 0
    frozen: Sequence[nn.Module] = ()
    loader: Stateful | None = None

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
        `meter.<loss>`; meta, ready for JSON: counters `progress`, `meter`, `scaler`, `loader`. `parameters` names
        the optimizer's parameters in their order, and `meta["tensors"]` has type and shape of each of `tensors`.
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
        meta = {
            "format": schema.FORMAT,
            "progress": self.progress.to_json(),
            "meter": counts,
            "scaler": scaler,
            "loader": {} if self.loader is None else self.loader.state_dict(),
            "parameters": [] if self.optimizer is None else list(self._parameters()),
            "tensors": schema.described(tensors),
        }
        return {"weights": self.model.state_dict(), "tensors": tensors, "meta": meta}

    def load_state_dict(self, state: Mapping[str, Any], changed: Collection[str] = ()) -> list[str]:
        """Take over what `state_dict` returned; `changed` names settings that differ since then.

        Returns one sentence per part that begins afresh because of these. Raises UserError, naming the part, where one
        is missing or does not fit.
        """
        weights, tensors, meta = state["weights"], state["tensors"], state["meta"]
        if missing := [key for key in ("progress", "meter", "scaler") if key not in meta]:
            raise UserError(f"lacks {', '.join(missing)}")
        schema.check_weights(weights, self.model.state_dict())
        if "tensors" in meta:
            schema.check_tensors(tensors, meta["tensors"])
        notes = [
            *self._check_optimizer(tensors, meta, changed),
            *self._check_average(tensors, changed),
            *self._check_scaler(meta["scaler"], changed),
        ]
        self.model.load_state_dict(_divided(weights, self.model.state_dict()))
        self._load_optimizer(tensors, meta, changed)
        self._load_average(tensors)
        if self.scaler is not None and self.scaler.is_enabled() and meta["scaler"]:
            self.scaler.load_state_dict(meta["scaler"])
        if self.loader is not None:
            self.loader.load_state_dict(meta.get("loader", {}))
        notes += self._load_meter(tensors, meta["meter"], changed)
        return [*notes, *self.progress.restore(meta["progress"])]

    def _parameters(self) -> dict[str, Tensor]:
        """Return the parameters that the optimizer changes by name, in its order."""
        assert self.optimizer is not None
        names = {id(value): name for name, value in self.model.named_parameters()}
        return {names[id(value)]: value for group in self.optimizer.param_groups for value in group["params"]}

    def _check_optimizer(
        self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any], changed: Collection[str]
    ) -> list[str]:
        if self.optimizer is None:
            return []
        if afresh := _afresh(changed):
            return [f"{afresh}: the state of the optimizer (momentum) begins afresh"]
        parameters = self._parameters()
        slots = _slots(tensors, meta.get("parameters", list(parameters)))
        known = {name: found for name, found in slots.items() if name in parameters}
        schema.check_slots(known, parameters)
        progress = meta["progress"]
        stateful = bool(self.optimizer.defaults.get("momentum", 1))
        if stateful and not slots and progress["step"] > progress.get("skipped", 0):
            if "optimizer.momentum" in changed:
                return ["optimizer.momentum: the run had none, so the momentum begins at zero"]
            raise UserError("lacks optimizer: it has no slot of any parameter")
        before = meta.get("parameters", list(parameters))
        gone, new = len({*before} - {*parameters}), len({*parameters} - {*before})
        return [f"the optimizer begins afresh for {new} parameters, and drops {gone}"] if gone or new else []

    def _load_optimizer(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any], changed: Collection[str]) -> None:
        """Take the slots over by the names of their parameters: other rates and decays change the order."""
        if self.optimizer is None or _afresh(changed):
            return
        parameters = self._parameters()
        slots = _slots(tensors, meta.get("parameters", list(parameters)))
        state = {
            index: {key: _as_parameter(value, parameter) for key, value in slots[name].items()}
            for index, (name, parameter) in enumerate(parameters.items())
            if name in slots
        }
        groups = self.optimizer.state_dict()["param_groups"]  # they follow from the settings
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        _restride_slots(self.optimizer)

    def _check_average(self, tensors: Mapping[str, Tensor], changed: Collection[str]) -> list[str]:
        stored = _below(tensors, "average.")
        if self.average is None:
            if not stored:
                return []
            if "trainer.ema" not in changed:
                raise UserError("holds averaged weights, and trainer.ema is off")
            return ["trainer.ema: the averaged weights are dropped"]
        if stored:
            schema.check_weights(stored, self.average.state_dict(), "the average")
            return []
        if "trainer.ema" not in changed:
            raise UserError("lacks average: the averaged weights")
        return ["trainer.ema: the average begins with the present weights"]

    def _load_average(self, tensors: Mapping[str, Tensor]) -> None:
        if self.average is None:
            return
        if stored := _below(tensors, "average."):
            self.average.load_state_dict(_divided(stored, self.average.state_dict()))
        else:
            self.average.module.load_state_dict(self.model.state_dict())

    def _check_scaler(self, stored: Mapping[str, Any], changed: Collection[str]) -> list[str]:
        if self.scaler is None or not self.scaler.is_enabled():
            return []
        if not stored and "trainer.precision" in changed:
            return ["trainer.precision: the scale of the loss begins afresh"]
        if missing := [key for key in self.scaler.state_dict() if key not in stored]:
            raise UserError(f"lacks scaler.{missing[0]}")
        return []

    def _load_meter(
        self, tensors: Mapping[str, Tensor], counts: Mapping[str, Any], changed: Collection[str]
    ) -> list[str]:
        """Take over the sums since the last log entry, unless other losses are summed now."""
        if other := next((key for key in changed if key.partition(".")[0] in ("loss", "task")), None):
            return [f"{other}: the mean losses of the next log entry begin here"] if counts["steps"] else []
        sums = {name: value.to(self.device) for name, value in _below(tensors, "meter.").items()}
        self.meter.restore(sums, counts)
        return []


def _afresh(changed: Collection[str]) -> str | None:
    """Return the setting because of which the state of the optimizer does not fit, if there is one."""
    return next((key for key in changed if key.startswith("optimizer") and not key.startswith(KEEP_SLOTS)), None)


def _restride_slots(optimizer: torch.optim.Optimizer) -> None:
    """Give each tensor of an optimizer the strides of its parameter, which files do not keep.

    With other strides (channels_last) foreach updates take one kernel per tensor, and fused optimizers raise.
    """
    for parameter, slots in optimizer.state.items():
        for name, value in slots.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                slots[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _divided(tensors: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Divide the whole tensors of a checkpoint over processes where the present ones are."""
    return {name: distributed.divided_as(value, present[name]) for name, value in tensors.items()}


def _as_parameter(value: Tensor, parameter: Tensor) -> Tensor:
    """Divide a tensor of an optimizer as its parameter is; counters are whole everywhere."""
    return distributed.divided_as(value, parameter) if value.shape == parameter.shape else value


def _slots(tensors: Mapping[str, Tensor], parameters: Sequence[str]) -> dict[str, dict[str, Tensor]]:
    """Return an optimizer's tensors by the name of the parameter, then by their own; `parameters` is its order."""
    slots: dict[str, dict[str, Tensor]] = {}
    for name, value in _below(tensors, "optimizer.").items():
        index, _, key = name.partition(".")
        if not index.isdecimal() or int(index) >= len(parameters):
            raise UserError(f"holds optimizer.{name}, and the optimizer has {len(parameters)} parameters")
        slots.setdefault(parameters[int(index)], {})[key] = value
    return slots


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
