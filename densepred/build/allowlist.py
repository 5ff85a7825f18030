"""Names that a config from a file may use: components of densepred, each kind in its own place, and nothing else.

Every name is checked before it is imported, because importing runs code. A class must be defined in the package of its
kind and keep the contract of its kind. So nothing that a component happens to import can be reached through it.
"""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from densepred import contracts
from densepred.build import foreign
from densepred.errors import shown
from densepred.types import ORIENTATIONS, Annotation, Info, UserError

KINDS: dict[str, type] = {
    "model": contracts.Model,
    "encoder": contracts.Encoder,
    "decoder": contracts.Decoder,
    "upsample": contracts.Upsample,
    "codec": contracts.Codec,
    "loss": contracts.Loss,
    "metric": contracts.Metric,
}
DEPTH = 16
MOST = 2**16  # classes, keypoints, channels: more than any dataset has
LONGEST = 1_000  # characters of a name
LARGEST = 2.0**64  # of values that files of images hold
WIDEST = 1e6  # of numbers that describe a dataset, and of whole numbers in the nodes of a file, such as channels
AREA, SIDE = 2**26, 2**15  # pixels of an input, and of its side, that a file may ask for
TEXT = re.compile(r"[\w .,+-]*", re.ASCII)  # no paths, addresses or names of model hubs


def check(node: Any, at: str, trusted: Sequence[str] = ()) -> None:
    """Raise UserError unless `node` is plain data that names only components; `at`: "model", "task" or "transform"."""
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise UserError(f"{at}: names no class; use another checkpoint")
    _check(node, at, at, tuple(trusted), 0)


def check_info(data: Mapping[str, Any]) -> None:
    """Raise UserError unless the description of a dataset holds only words and numbers, each where they belong."""
    _check_form(data)
    for key, plausible in PLAUSIBLE.items():
        if key in data and not plausible(data):
            raise UserError(f"info.{key}: holds values that no dataset has; use another checkpoint")


def _check_form(data: Mapping[str, Any]) -> None:
    for entry in fields(Info):
        value = data.get(entry.name, ())
        if entry.name == "max_value":
            if value not in (None, ()) and (type(value) is not int or not 1 <= value <= LARGEST):
                raise UserError("info.max_value: not of the expected form; use another checkpoint")
            continue
        if entry.name == "window" and value is None:
            continue
        if entry.name == "exif":
            if value not in (*ORIENTATIONS, ()):
                raise UserError("info.exif: not of the expected form; use another checkpoint")
            continue
        if value is None and "None" in str(entry.type):
            continue
        leaves = _leaves(value, 3)
        words = entry.name in ("classes", "keypoints", "provides")
        kind = str if words else int | float
        whole = (int, tuple) if entry.name == "channels" else (list, tuple)
        if not isinstance(value, whole) or not all(
            isinstance(leaf, kind) and not isinstance(leaf, bool) for leaf in leaves
        ):
            raise UserError(f"info.{entry.name}: not of the expected form; use another checkpoint")


def _words(values: Any) -> bool:
    return len(values) <= MOST and all(isinstance(value, str) and len(value) <= LONGEST for value in values)


def _indices(pairs: Any, below: int, each: int | None) -> bool:
    """Check for whole numbers from 0 to `below`, in groups of `each`; None: without groups."""
    rows = pairs if each else [pairs]
    right = all(isinstance(row, list | tuple) and len(row) == (each or len(row)) for row in rows)
    return right and all(type(value) is int and 0 <= value < below for row in rows for value in row)


def _numbers(values: Any, low: float) -> bool:
    # NaN fails every comparison, and whole numbers beyond floats are compared without an error
    return len(values) <= MOST and all(low <= value <= WIDEST for value in values)


def _window(value: Any, channels: Any) -> bool:
    """Check for a center and a width above 0, or for these per channel."""
    if value is None:
        return True
    nested = any(isinstance(row, list | tuple) for row in value)
    rows = value if nested else [value]
    return all(map(_is_window, rows)) and (not nested or len(rows) == channels)


def _is_window(row: Any) -> bool:
    if not isinstance(row, list | tuple) or len(row) != 2:
        return False
    numbers = all(isinstance(one, int | float) and -LARGEST <= one <= LARGEST for one in row)
    return numbers and row[1] > 0


PLAUSIBLE: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "bands": lambda info: len(info["bands"]) in (0, info.get("channels", 3)) and _indices(info["bands"], MOST, None),
    "window": lambda info: _window(info["window"], info.get("channels", 3)),
    "classes": lambda info: _words(info["classes"]),
    "keypoints": lambda info: _words(info["keypoints"]),
    "provides": lambda info: set(info["provides"]) <= {field.name for field in fields(Annotation)},
    "things": lambda info: _indices(info["things"], len(info.get("classes", ())), None),
    "palette": lambda info: len(info["palette"]) <= MOST and _indices(info["palette"], 256, 3),
    "limbs": lambda info: len(info["limbs"]) <= MOST and _indices(info["limbs"], len(info.get("keypoints", ())), 2),
    "mirrored": lambda info: _indices(info["mirrored"] or (), len(info.get("keypoints", ())), 2),
    "sigmas": lambda info: _numbers(info["sigmas"], 0),
    "channels": lambda info: type(info["channels"]) is int and 1 <= info["channels"] <= MOST,
    "mean": lambda info: _numbers(info["mean"], -WIDEST),
    "std": lambda info: _numbers(info["std"], 0),
}
"""Checks of the values of each entry, beside its form."""


def _leaves(node: Any, depth: int) -> list[Any]:
    if isinstance(node, list | tuple) and depth:
        return [leaf for value in node for leaf in _leaves(value, depth - 1)]
    return [node]


def _check(node: Any, at: str, kind: str, trusted: tuple[str, ...], depth: int) -> None:
    """Check one node. `kind` is the kind of component that must stand here; "": none may."""
    if depth > DEPTH:
        raise UserError(f"{at}: nested more than {DEPTH} deep; use another checkpoint")
    if isinstance(node, list | tuple):
        if len(node) > MOST:
            raise UserError(f"{at}: {len(node)} entries, more than {MOST}; use another checkpoint")
        if at.startswith("transform") and len(node) == 2 and _area(node) > AREA:
            raise UserError(f"{at}: inputs of {shown(node)} pixels do not fit into memory; use another checkpoint")
        for i, value in enumerate(node):
            _check(value, f"{at}[{i}]", kind if kind == "loss" else "", trusted, depth + 1)
    elif isinstance(node, Mapping):
        if "_target_" in node:
            _component(node["_target_"], f"{at}._target_", kind, trusted)
        for key, value in node.items():
            _key(key, value, at)
            if key not in ("_target_", "_partial_"):
                _check(value, f"{at}.{key}", _kind(key, kind), trusted, depth + 1)
    elif isinstance(node, str):
        if "${" in node:
            raise UserError(f"{at}: {node[:80]}: an interpolation inside a file is never resolved; write the value")
        if not TEXT.fullmatch(node) and at != "task.monitor":  # such as iou/sky, never more than a name in a table
            raise UserError(f"{at}: {node[:80]!r}: a path or an address; use another checkpoint")
    elif isinstance(node, int) and abs(node) > _most(at):
        raise UserError(f"{at}: {shown(node)}: no component of a checkpoint has such a number; use another checkpoint")
    elif isinstance(node, float) and math.isnan(node):
        raise UserError(f"{at}: not a number; use another checkpoint")
    elif node is not None and not isinstance(node, bool | int | float):
        raise UserError(f"{at}: a {type(node).__name__}; use another checkpoint")


def _most(at: str) -> float:
    """Return the largest whole number that may stand at a place of a node."""
    return math.inf if at.endswith("seed") else SIDE if at.startswith("transform") else WIDEST


def _area(sides: Sequence[Any]) -> float:
    return math.prod(abs(side) for side in sides if isinstance(side, int | float))


def _kind(key: str, parent: str) -> str:
    """Return the kind of component that a key may hold: a decoder for `decoder` and `center_decoder`, and so on."""
    if key in ("losses", "metrics"):
        return "loss" if key == "losses" else "metric"
    named = next((kind for kind in KINDS if key == kind or key.endswith(f"_{kind}")), "")
    return named or (parent if parent in ("loss", "metric") else "")


def _key(key: Any, value: Any, at: str) -> None:
    if not isinstance(key, str):
        raise UserError(f"{at}: {str(key)[:80]!r} is not a key; use another checkpoint")
    if key == "pretrained" and value not in (False, None):
        raise UserError(f"{at}.{key}: {str(value)[:80]}: a checkpoint brings its weights; use one with false here")
    if key.startswith("_") and key not in ("_target_", "_partial_"):
        raise UserError(f"{at}.{key[:80]}: not a key that densepred knows; use another checkpoint")


def _component(path: Any, at: str, kind: str, trusted: tuple[str, ...]) -> None:
    if not isinstance(path, str):
        raise UserError(f"{at}: {str(path)[:80]}: not the path of a class; use another checkpoint")
    shown = path[:80]
    if not kind:
        raise UserError(f"{at}: {shown}: no component belongs here; use another checkpoint")
    parts = path.split(".")
    if len(parts) < 2 or not all(p.isascii() and p.isidentifier() and not p.startswith("_") for p in parts):
        raise UserError(f"{at}: {shown!r}: not the path of a class; use another checkpoint")
    home = (f"densepred.{kind}", *trusted)
    module, _, name = path.rpartition(".")
    if not _inside(module, home):
        hint = f"pass 'trust=[{parts[0]}]' if you know and trust it" if parts[0] != "densepred" else "use another file"
        raise UserError(f"{at}: {shown}: not a {kind} of densepred; {hint}")
    found = _attribute(module, name, at)
    if not isinstance(found, type) or not _inside(found.__module__, home):
        raise UserError(f"{at}: {shown}: not a class defined there; use another checkpoint")
    if not (_transforms(found) if kind == "transform" else issubclass(found, _contract(kind, at))):
        raise UserError(f"{at}: {shown}: not a {kind}; use another checkpoint")


def _contract(kind: str, at: str) -> type:
    return KINDS.get(kind) or _attribute("densepred.task", "Task", at)


def _transforms(found: type) -> bool:
    """Check for one of the forms of a transform that `transform/pipeline.py` accepts."""
    return any(
        word in vars(parent) for parent in found.__mro__ for word in ("__call__", "params", "instance_params", "colour")
    )


def _attribute(module: str, name: str, at: str) -> Any:
    """Return one attribute of one module, without following dots in its name."""
    try:
        with foreign.importing(f"{module}.{name}", at):
            return vars(importlib.import_module(module)).get(name)
    except (ImportError, AttributeError) as error:
        if not module.startswith("densepred."):
            raise UserError(f"{at}: {module} cannot be imported ({error}); install or correct it") from error
        raise UserError(f"{at}: {module} does not exist in this densepred; update densepred") from error


def _inside(name: str, packages: Sequence[str]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)
