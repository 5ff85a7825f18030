"""The schema of a checkpoint's state: every tensor and counter by name, compared before any of them is taken over.

A state that lacks a part, or holds one of another shape or type, is refused; nothing goes on with half a state.
Settings that `trainer.allow` let change decide which parts may be absent or new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from densepred.errors import UserError

FORMAT = 2
"""Number of the form of state.json. 1, which is not written in the file, has no lists of tensors and parameters."""

COUNTERS = {
    "progress": ("monitor", "step", "epoch", "batch", "due", "validated", "seconds", "since_best", "best", "last"),
    "meter": ("steps", "images"),
}
"""Counters that every state.json holds."""

PARTS = ("progress", "meter", "scaler", "config", "environment", "files")
SINCE_2 = ("tensors", "parameters", "overrides")
"""Parts of state.json: of every format, and those since format 2."""

FEW = 3


def described(tensors: Mapping[str, Tensor]) -> dict[str, list[Any]]:
    """Return type and shape of each tensor, as JSON."""
    return {name: [str(value.dtype).removeprefix("torch."), *value.shape] for name, value in tensors.items()}


def check_meta(meta: Mapping[str, Any]) -> None:
    """Raise UserError, naming the key, unless state.json has every part and every counter."""
    number = meta.get("format", 1)
    if not isinstance(number, int) or not 1 <= number <= FORMAT:
        raise UserError(f"format is {str(number)[:20]}, and this densepred reads 1 to {FORMAT}; update densepred")
    required = [*PARTS, *(SINCE_2 if number > 1 else ())]
    kinds = {"files": Mapping, "tensors": Mapping, "parameters": list, "overrides": list}
    for key in required:
        if key not in meta:
            raise UserError(f"lacks {key}")
        if not isinstance(meta[key], kinds.get(key, Mapping)):
            raise UserError(f"{key} is not of the expected form")
    _check_left_out(meta.get("loader", {}))
    for key, names in COUNTERS.items():
        for name in names:
            if name not in meta[key]:
                raise UserError(f"lacks {key}.{name}")
    for name in ("step", "epoch", "batch"):
        if type(meta["progress"][name]) is not int or meta["progress"][name] < 0:
            raise UserError(f"progress.{name} is {str(meta['progress'][name])[:20]}, which is no count")


def _check_left_out(loader: Any) -> None:
    """Raise UserError unless this is a list of errors and a count; older checkpoints have none."""
    bad, missed = (loader.get("bad", []), loader.get("missed", 0)) if isinstance(loader, Mapping) else (None, None)
    if not isinstance(bad, list) or type(missed) is not int or not all(isinstance(text, str) for text in bad):
        raise UserError("loader is not of the expected form")


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Any]) -> None:
    """Raise UserError, naming the first that differs, unless the tensors are those of `expected` (see `described`)."""
    found = described(tensors)
    _check_names(found, expected)
    for name, form in expected.items():
        if list(form) != found[name]:
            raise UserError(f"{name} is {_form(found[name])}, where {_form(form)} was written")


def check_weights(weights: Mapping[str, Tensor], model: Mapping[str, Tensor], what: str = "the model") -> None:
    """Raise UserError, naming the first that differs, unless the weights fit those of `what`."""
    found, expected = described(weights), described(model)
    _check_names(found, expected)
    for name, form in expected.items():
        if form != found[name]:
            raise UserError(f"{name} is {_form(found[name])}, {what} has {_form(form)}")


def check_slots(slots: Mapping[str, Mapping[str, Tensor]], parameters: Mapping[str, Tensor]) -> None:
    """Raise UserError unless all parameters have the same slots, each a scalar or of the parameter's shape."""
    names = sorted(set().union(*slots.values()))
    for parameter, found in slots.items():
        if missing := [name for name in names if name not in found]:
            raise UserError(f"lacks optimizer.{parameter}.{missing[0]}")
        for name, value in found.items():
            if value.ndim and value.shape != parameters[parameter].shape:
                raise UserError(
                    f"optimizer.{parameter}.{name} is of shape {tuple(value.shape)}, the parameter of "
                    f"{tuple(parameters[parameter].shape)}"
                )


def _check_names(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    if missing := [name for name in expected if name not in found]:
        raise UserError(f"lacks {_few(missing)}")
    if unknown := [name for name in found if name not in expected]:
        raise UserError(f"holds {_few(unknown)}, which does not belong to it")


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:FEW]) + (f" and {len(names) - FEW} more" if len(names) > FEW else "")


def _form(form: Sequence[Any]) -> str:
    return f"{form[0]} {tuple(form[1:])}"
