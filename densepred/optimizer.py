"""Optimizers: frozen parts, learning rates and decay per part, no decay on norms and biases."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from densepred.errors import UserError, suggest

Groups = Mapping[str, Mapping[str, float]] | None


def parameter_groups(model: nn.Module, lr: float, weight_decay: float, groups: Groups) -> list[dict[str, Any]]:
    """Return one parameter group per pair of learning rate and decay.

    `groups` maps a part, such as "encoder" or "decoder.blocks", to {"lr": factor, "weight_decay": value}; the longest
    part that begins a parameter's name counts. Vectors and scalars (norms, biases) are never decayed.
    """
    groups = groups or {}
    _check(model, groups)
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        part = max((p for p in groups if f"{name}.".startswith(f"{p}.")), key=len, default=None)
        special = groups[part] if part is not None else {}
        decay = special.get("weight_decay", weight_decay) if parameter.ndim > 1 else 0.0
        found.setdefault((lr * special.get("lr", 1.0), decay), []).append(parameter)
    if not found:
        raise UserError("trainer.freeze leaves nothing to train; name fewer parts")
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in found.items()]


class Eager(torch.optim.Optimizer):
    """An optimizer of torch that does not import torch's compiler, which takes a second before the first step.

    torch decorates these methods to keep the compiler out of them, and imports it at the first call to do so. Here they
    are called without the decorators: only networks and losses are compiled.
    """

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        _undecorated(super().add_param_group)(self, param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        _undecorated(super().zero_grad)(self, set_to_none)

    def state_dict(self) -> dict[str, Any]:
        return _undecorated(super().state_dict)(self)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        _undecorated(super().load_state_dict)(self, state_dict)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride], it is an overload there
        for group in self.param_groups:
            if group.get("fused"):
                _restride_gradients(group["params"])
        return _undecorated(super().step)(self, closure)


def _undecorated(method: Any) -> Callable[..., Any]:
    """Return the function of a bound method without its decorators; it takes the object first."""
    return inspect.unwrap(method.__func__)


def _restride_gradients(parameters: Sequence[Tensor]) -> None:
    """Give gradients the strides of their parameters; torch's fused updates on a CPU pair values by their addresses.

    Gradients of autograd have these strides already. Others would be added to wrong values, without an error on a CPU.
    """
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is None or gradient.stride() == parameter.stride():  # nearly always, and quick to see
            continue
        if _places(gradient) != _places(parameter):
            parameter.grad = torch.empty_like(parameter).copy_(gradient)


def _places(value: Tensor) -> list[int]:
    """Return the strides that decide where values lie; those of dimensions of size 1 do not."""
    return [stride for stride, size in zip(value.stride(), value.shape, strict=True) if size != 1]


FUSED: dict[type, tuple[str, ...]] = {nn.Parameter: ("cpu", "cuda")}
"""Devices on which all parameters of a type can be updated together in one pass over memory."""


def _fused(groups: Sequence[Mapping[str, Any]]) -> bool | None:
    """Return True if torch can update all parameters in one pass over memory, else None: torch's own choice.

    A pass per operation takes a CPU four times as long. On CUDA it takes several times as many kernels, and memory for
    intermediate results. Divided parameters (FSDP2) are left out: parts round otherwise. So are those with gaps in
    memory, since the optimizer's tensors would have none.
    """
    parameters = [parameter for group in groups for parameter in group["params"]]
    devices = {value.device.type for value in parameters}
    fit = all(value.device.type in FUSED.get(type(value), ()) for value in parameters)
    whole = all(value.is_floating_point() and _is_dense(value) for value in parameters)
    return True if fit and whole and len(devices) == 1 else None


def _is_dense(value: Tensor) -> bool:
    """Return True if a tensor has no gaps in memory: only then a new tensor takes over its strides."""
    return _places(torch.empty_like(value, device="meta")) == _places(value)


class AdamW(Eager, torch.optim.AdamW):
    pass


class Adam(Eager, torch.optim.Adam):
    pass


class SGD(Eager, torch.optim.SGD):
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        for group in self.param_groups:
            if group.get("fused") and group["momentum"]:
                self._begin_late(group["params"])
        return super().step(closure)

    def _begin_late(self, parameters: Sequence[Tensor]) -> None:
        """Let a momentum begin at 0 where torch needs one: if a first gradient comes later than those of others."""
        learning = [parameter for parameter in parameters if parameter.grad is not None]
        late = [parameter for parameter in learning if "momentum_buffer" not in self.state.get(parameter, {})]
        if len(late) < len(learning):
            for parameter in late:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def adamw(
    model: nn.Module, lr: float, betas: Sequence[float], eps: float, weight_decay: float, groups: Groups
) -> torch.optim.Optimizer:
    """AdamW. https://arxiv.org/abs/1711.05101"""
    found = parameter_groups(model, lr, weight_decay, groups)
    return AdamW(found, lr=lr, betas=(betas[0], betas[1]), eps=eps, fused=_fused(found))


def adam(
    model: nn.Module, lr: float, betas: Sequence[float], eps: float, weight_decay: float, groups: Groups
) -> torch.optim.Optimizer:
    """Adam, with decay added to the gradient. https://arxiv.org/abs/1412.6980"""
    found = parameter_groups(model, lr, weight_decay, groups)
    return Adam(found, lr=lr, betas=(betas[0], betas[1]), eps=eps, fused=_fused(found))


def sgd(
    model: nn.Module, lr: float, momentum: float, nesterov: bool, weight_decay: float, groups: Groups
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum."""
    found = parameter_groups(model, lr, weight_decay, groups)
    return SGD(found, lr=lr, momentum=momentum, nesterov=nesterov, fused=_fused(found))


def optimizer_of(model: nn.Module, factory: functools.partial[torch.optim.Optimizer]) -> torch.optim.Optimizer:
    """Return the optimizer that a factory makes for a model.

    The factories above take the model. A class with the first parameter `params`, as in torch.optim, takes the
    parameter groups instead, and `groups` among its settings counts as above.
    """
    parameters = inspect.signature(factory.func).parameters
    if next(iter(parameters), None) != "params":
        return factory(model)
    given = dict(factory.keywords)
    groups = given.pop("groups", None)
    values = {name: given.get(name, parameters[name].default) for name in ("lr", "weight_decay") if name in parameters}
    if not isinstance(values.get("lr"), int | float):
        raise UserError(f"optimizer.lr: {factory.func.__name__} needs a learning rate; type optimizer.lr=0.001")
    return factory.func(parameter_groups(model, values["lr"], values.get("weight_decay", 0.0), groups), **given)


def freeze(model: nn.Module, parts: Sequence[str]) -> list[nn.Module]:
    """Stop the gradients of the named parts; return them, to be kept in evaluation mode (running statistics)."""
    frozen = []
    for name in parts:
        if name not in dict(model.named_modules()):
            children = ", ".join(child for child, _ in model.named_children())
            raise UserError(f"trainer.freeze: the model has no part '{name}'; name one of {children}")
        frozen.append(model.get_submodule(name).requires_grad_(False))
    return frozen


def _check(model: nn.Module, groups: Mapping[str, Mapping[str, float]]) -> None:
    parts = {name for name, _ in model.named_modules()} - {""} | {name for name, _ in model.named_parameters()}
    for part, special in groups.items():
        if part not in parts:
            children = ", ".join(name for name, _ in model.named_children())
            hint = suggest(part, parts, f"it has {children}")
            raise UserError(f"optimizer.groups: the model has no part '{part}'; {hint}")
        if unknown := set(special) - {"lr", "weight_decay"}:
            raise UserError(f"optimizer.groups.{part} has {sorted(unknown)}; give lr (a factor) or weight_decay")
