"""Compare the values of a config with the types in the signature of the class or function that receives them."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from densepred.errors import shown

PLAIN: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a word",
    types.NoneType: "null",
}
MEASURED = {"class_weights": "median_frequency"}
"""Words that stand for values which are measured in the training set before the class is built."""


def misfit(make: Callable[..., Any], parameter: inspect.Parameter, value: Any, key: str) -> str | None:
    """Return "'abc' is not a number; give a number" for a value of another type than the parameter's, else None.

    key: the whole key, which the words to type begin with

    Values that are objects, parameters without an annotation, and annotations that cannot be resolved are not compared.
    """
    hint = hints(make).get(parameter.name)
    if parameter.name in MEASURED and value == MEASURED[parameter.name]:
        return None
    if hint is None or not _is_plain(value) or _equals_default(parameter, value) or fits(value, hint):
        return None
    wanted = " or ".join(dict.fromkeys(described(hint)))
    digits = f"; for the word of these digits type '{key}=\"{value}\"'" if _wants_word(hint, value) else ""
    return f"{shown(value) if value is not None else 'null'} is not {wanted}; give {wanted}{digits}"


@functools.cache
def hints(make: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the types of the parameters of a class or function; none if they cannot be resolved."""
    found = make if dataclasses.is_dataclass(make) and "__init__" in vars(make) else getattr(make, "__init__", make)
    try:
        return typing.get_type_hints(found if inspect.isclass(make) else make)
    except Exception:  # annotations of the user's own code may name anything
        return {}


def fits(value: Any, hint: Any) -> bool:
    """Return False only if a plain value cannot be of the type."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if origin is typing.Literal:
        return value in inner
    if hint in PLAIN:
        return type(value) is hint or (hint is float and type(value) is int)
    kind = origin or hint
    if not inspect.isclass(kind):  # Any, type variables
        return True
    if issubclass(kind, Mapping):
        return isinstance(value, Mapping) and (len(inner) < 2 or all(fits(one, inner[1]) for one in value.values()))
    if kind is tuple:
        return _fits_tuple(value, inner)
    if issubclass(kind, Sequence):
        return isinstance(value, list | tuple) and (not inner or all(fits(one, inner[0]) for one in value))
    return True


def described(hint: Any) -> list[str]:
    """Return the words for a type, one per member of a union."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return [word for one in inner for word in described(one)]
    if origin is typing.Literal:
        return [f"one of {', '.join(map(str, inner))}"]
    kind = origin or hint
    if hint not in PLAIN and inspect.isclass(kind):
        if issubclass(kind, Mapping):
            return ["a mapping {name: value}"]
        if issubclass(kind, Sequence):
            return [f"a list {_example(kind, inner)}"]
    return [PLAIN.get(hint, getattr(hint, "__name__", str(hint)))]


def _example(kind: type, inner: Sequence[Any]) -> str:
    fixed = kind is tuple and inner and inner[-1] is not Ellipsis
    return f"of {len(inner)} values" if fixed else "[value, ...]"


def _fits_tuple(value: Any, inner: Sequence[Any]) -> bool:
    if not isinstance(value, list | tuple):
        return False
    if not inner:
        return True
    if inner[-1] is Ellipsis:
        return all(fits(one, inner[0]) for one in value)
    return len(value) == len(inner) and all(fits(one, part) for one, part in zip(value, inner, strict=True))


def _wants_word(hint: Any, value: Any) -> bool:
    return type(value) is int and "a word" in described(hint)


def _equals_default(parameter: inspect.Parameter, value: Any) -> bool:
    """Accept the default itself: annotations such as `x: int = None` are common."""
    return type(parameter.default) is type(value) and bool(parameter.default == value)


def _is_plain(value: Any) -> bool:
    """Look for numbers, words, and lists and mappings of them; nodes and built objects are compared elsewhere."""
    if isinstance(value, Mapping):
        return "_target_" not in value and all(map(_is_plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)
