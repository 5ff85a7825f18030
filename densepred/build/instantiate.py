"""From a config to objects: the only place where a name becomes code.

A node is a plain mapping with `_target_`, the path of a class or function, and its keyword arguments. Nested nodes are
built first; `_partial_: true` gives a factory. The user's own config may name anything that can be imported. A config
from a file is not trusted: `allowlist.py` holds the names that it may use.
"""

from __future__ import annotations

import functools
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from densepred.build import allowlist, foreign, renamed, value_types
from densepred.errors import UserError, exhausted, suggest

SHARED = ("upsample", "loss", "encoder", "decoder", "metric")
"""Groups with nodes that are copied by interpolation into the nodes that use them; messages name the group."""

RUNTIME = {"task": {"info"}, "model": {"heads", "channels", "mean", "std"}}
"""Arguments that come from the dataset or the task, not from the config."""


def build(node: Any, trusted: Sequence[str] | None = None, at: str = "", /, **runtime: Any) -> Any:
    """Build a node and everything inside it; `runtime` holds further arguments of the outermost node.

    `trusted` is None for the user's own config. For a config from a file, it lists the packages that the user trusts
    beside densepred's components. `at` names the node in messages; for a config from a file it is also the kind that
    the node must have: "model", "task" or "transform".

    Raises UserError if a name, an argument or a value is wrong.
    """
    if trusted is not None:
        allowlist.check(node, at, trusted)
    return _build(node, at, trusted is not None, runtime)


def _build(node: Any, at: str, guarded: bool, runtime: Mapping[str, Any]) -> Any:
    if isinstance(node, str) and "${" in node:
        raise UserError(f"{at}: {node}: an interpolation that was not resolved; write the value")
    if isinstance(node, list | tuple):
        return [_build(value, f"{at}[{i}]", guarded, {}) for i, value in enumerate(node)]
    if not isinstance(node, Mapping):
        return node
    values = {key: _build(value, _join(at, key), guarded, {}) for key, value in node.items() if not _special(key)}
    if "_target_" not in node:
        return values
    make = find(node["_target_"], _join(at, "_target_"))
    mistakes = list(_unfit(make, node, at, runtime, values, guarded))
    if mistakes:
        raise UserError(mistakes[0])
    if node.get("_partial_", False):
        return functools.partial(make, **values, **runtime)
    return _call(make, at, guarded, {**values, **runtime})


def _call(make: Callable[..., Any], at: str, guarded: bool, values: Mapping[str, Any]) -> Any:
    try:
        return make(**values)
    except UserError:
        raise
    except (TypeError, ValueError) as error:
        raise UserError(f"{at}: {_name(make)} does not accept its arguments ({error}); correct them") from error
    except Exception as error:
        if not guarded or exhausted(error) is not None:
            raise
        raise UserError(f"{at}: {_name(make)} cannot be built: {error}; use another checkpoint") from error


def check(config: Mapping[str, Any]) -> list[str]:
    """Return every mistake in the names and arguments of a config's nodes, without building anything."""
    shared = {key: config[key] for key in SHARED if isinstance(config.get(key), Mapping)}
    mistakes: dict[str, None] = {}
    for key, value in config.items():
        if key not in SHARED:
            mistakes.update(dict.fromkeys(_check(value, str(key), shared, RUNTIME.get(str(key), set()))))
    return list(mistakes)


def _check(node: Any, at: str, shared: Mapping[str, Any], runtime: Iterable[str] = ()) -> Iterator[str]:
    if isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from _check(value, f"{at}[{i}]", shared)
    if not isinstance(node, Mapping):
        return
    at = next((key for key, value in shared.items() if value == node), at)
    for key, value in node.items():
        yield from _check(value, _join(at, key), shared)
    if "_target_" in node:
        try:
            make = find(node["_target_"], _join(at, "_target_"))
        except UserError as error:
            yield str(error)
        else:
            values = {key: value for key, value in node.items() if not _special(key)}
            yield from _unfit(make, node, at, runtime, values, False)


def find(path: Any, at: str) -> Callable[..., Any]:
    """Return the class or function of a path such as `mynet.Net`. Raises UserError if there is none."""
    if not isinstance(path, str) or not all(part.isidentifier() for part in path.split(".")) or "." not in path:
        raise UserError(f"{at}: {path}: not the path of a class; write module.Class")
    try:
        with foreign.importing(path, at):
            found = pkgutil.resolve_name(path)
    except ModuleNotFoundError as error:
        remedy = "change to the folder that holds it, or install its package"
        raise UserError(f"{at}: {path}: there is no module {error.name}; {remedy}") from error
    except AttributeError as error:
        raise UserError(f"{at}: {path}: {_absent(path)}") from error
    if not callable(found):
        raise UserError(f"{at}: {path}: neither a class nor a function; write module.Class")
    return found


def _unfit(
    make: Callable[..., Any],
    node: Mapping[Any, Any],
    at: str,
    runtime: Iterable[str],
    values: Mapping[Any, Any],
    guarded: bool,
) -> Iterator[str]:
    """Yield the mistakes in the keys and values of a node, compared with the signature of what it names.

    The values of a config from a file are not compared: what was built once is built again.
    """
    partial = node.get("_partial_", False)
    if not isinstance(partial, bool):
        yield f"{_join(at, '_partial_')}: {partial}: neither true nor false; give one of them"
    for key in node:
        if _special(key) and key not in ("_target_", "_partial_"):
            yield f"{_join(at, key)}: not a key that densepred knows; remove it"
    parameters = _parameters(make)
    if parameters is None:
        return
    given, runtime = list(values), list(runtime)
    open_ended = not guarded and any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    named = {name: p for name, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    for key in given:
        if key in runtime:
            yield f"{_join(at, key)}: densepred sets this argument itself; remove it"
        elif key not in named and (now := renamed.present(node["_target_"], str(key))) != key:
            yield f"{_join(at, key)}: it is called {now} now; type {_join(at, now)}=..."
        elif key not in named and not open_ended and not (at == "optimizer" and key == "groups" and "params" in named):
            yield f"{_join(at, key)}: {_name(make)} has no argument {key}; {suggest(key, set(named) - set(runtime))}"
        elif (
            key in named
            and not guarded
            and (wrong := value_types.misfit(make, named[key], values[key], _join(at, key)))
        ):
            yield f"{_join(at, key)}: {wrong}"
    for key, parameter in named.items():
        if not partial and parameter.default is parameter.empty and key not in given and key not in runtime:
            yield f"{_join(at, key)}: {_name(make)} needs this argument; give it"


def _parameters(make: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    try:
        return inspect.signature(make).parameters
    except (TypeError, ValueError):  # some classes written in C have no signature
        return None


def _absent(path: str) -> str:
    module, _, name = path.rpartition(".")
    try:
        names = [word for word in vars(pkgutil.resolve_name(module)) if not word.startswith("_")]
    except (ImportError, AttributeError, TypeError):
        return f"{module} does not exist; write module.Class"
    return f"{module} has no {name}; {suggest(name, names, 'write module.Class')}"


def _special(key: Any) -> bool:
    return str(key).startswith("_") and str(key).endswith("_")


def _join(at: str, key: Any) -> str:
    return f"{at}.{key}" if at else str(key)


def _name(make: Callable[..., Any]) -> str:
    return getattr(make, "__name__", str(make))
