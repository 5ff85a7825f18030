"""Check that what a config names is a component of its kind, and name what is missing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from densepred import contracts
from densepred.errors import UserError
from densepred.types import HeadSpec

KINDS: dict[str, tuple[type, str]] = {
    "model": (contracts.Model, "docs/own_components.md#a-model"),
    "dataset": (contracts.Dataset, "docs/own_components.md#a-dataset"),
    "loss": (contracts.Loss, "docs/own_components.md#a-loss"),
    "metric": (contracts.Metric, "docs/own_components.md#a-metric"),
    "encoder": (contracts.Encoder, "docs/own_components.md"),
    "decoder": (contracts.Decoder, "docs/own_components.md"),
}
"""Contract of each kind, and the page that describes it."""

PROMISED: dict[str, tuple[str, ...]] = {
    "dataset": ("info",),
    "loss": ("target",),
    "metric": ("mode",),
    "encoder": ("channels", "strides", "pooled"),
    "decoder": ("channels", "strides"),
}
"""Attributes that an object of the kind must have."""


def require(made: Any, kind: str, at: str) -> Any:
    """Return the object, or raise UserError if it is no component of this kind."""
    contract, page = KINDS[kind]
    name = type(made).__name__
    if not isinstance(made, contract):
        lacking = _lacking(type(made), contract)
        missing = f"; it lacks {', '.join(lacking)}" if lacking else ""
        raise UserError(
            f"{at}: {name} is no {kind}: it does not derive from densepred.contracts.{contract.__name__}{missing}; "
            f"derive from it, see {page}"
        )
    absent = [key for key in PROMISED.get(kind, ()) if not hasattr(made, key)]
    if absent:
        raise UserError(f"{at}: {name} sets no {' and no '.join(absent)}; set it in the constructor, see {page}")
    return made


def require_outputs(outputs: Any, heads: Mapping[str, HeadSpec]) -> None:
    """Raise UserError if a model returns something else than maps (B, C, h, w) of each head, in a list of stages."""
    page = KINDS["model"][1]
    if not isinstance(outputs, Mapping):
        raise UserError(
            f"model: forward returns a {type(outputs).__name__}, and not a list of maps per head; see {page}"
        )
    for name, spec in heads.items():
        stages = outputs.get(name)
        if not isinstance(stages, Sequence) or not len(stages):
            raise UserError(
                f"model: forward returns no list of maps for head {name} (its heads: {', '.join(heads)}); see {page}"
            )
        for stage in stages:
            shape = tuple(getattr(stage, "shape", ()))
            if len(shape) < 3 or shape[1] != spec.channels:  # detectors may give (B, C, locations)
                raise UserError(
                    f"model: forward returns {shape or type(stage).__name__} for head {name}, and not "
                    f"(batch, {spec.channels}, height, width); see {page}"
                )


def make(factory: Callable[..., Any], kind: str, at: str, **given: Any) -> Any:
    """Call a factory of the user with the arguments of its kind, and check the result."""
    if isinstance(factory, (KINDS[kind][0], nn.Module)):
        raise UserError(f"{at}: {type(factory).__name__} is built too early; add _partial_: true below its _target_")
    function = getattr(factory, "func", factory)
    name = getattr(function, "__name__", type(function).__name__)
    unknown, needed = _misfits(function, {*getattr(factory, "keywords", {}), *given}, given)
    if unknown:
        raise UserError(
            f"{at}: {name} takes no {' and no '.join(unknown)}, which densepred gives to each {kind}; add it to the "
            f"constructor, see {KINDS[kind][1]}"
        )
    if needed:
        raise UserError(f"{at}: {name} needs {', '.join(needed)}; add {at}.{needed[0]}")
    try:
        made = factory(**given)
    except UserError:
        raise
    except (TypeError, ValueError) as error:  # of a class that takes any keyword, and refuses it later
        raise UserError(f"{at}: {name} does not accept {', '.join(given)}: {error}; see {KINDS[kind][1]}") from error
    return require(made, kind, at)


def _misfits(function: Callable[..., Any], bound: Iterable[str], given: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the given arguments that a function does not take, and those that it needs beside the bound ones."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some classes written in C have no signature
        return [], []
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    unknown = [] if open_ended else [key for key in given if key not in parameters]
    needed = [
        name
        for name, parameter in parameters.items()
        if parameter.kind in named and parameter.default is parameter.empty and name not in bound
    ]
    return unknown, needed


def _lacking(made: type, contract: type) -> list[str]:
    """Return the methods of a contract that a class has not."""
    return sorted(
        name for name in getattr(contract, "__abstractmethods__", ()) if not callable(getattr(made, name, None))
    )
