"""Tensors of other programs' pickled checkpoints, read without running code from the file.

torch's restricted unpickler (`weights_only`) builds only tensors and plain containers. The result is searched for one
mapping of names to dense tensors; everything else is ignored.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from densepred.errors import Notice, UserError, out_of_memory

USUAL = ("state_dict", "model_state_dict", "model_state", "model", "weights", "params", "net", "network")
"""Keys under which training programs save the weights of their network, the most reliable first."""

NO_WEIGHTS = ("optim", "sched", "lr_sched", "scaler", "amp")
"""Beginnings of the names of a training's other states."""
SHOWN = 8
WHOLE = "(the file itself)"
DEEPEST = 4


def read(path: Path, key: str | None = None) -> dict[str, Tensor]:
    """Return the dense tensors of a file that torch.save wrote. `key` selects one of several sets, as "ema.params".

    Raises UserError if the file cannot be opened safely, or holds no set of tensors, or several.
    """
    whole = _restricted(path)
    sets = dict(_sets(whole))
    if not sets:
        raise UserError(f"{path}: holds no mapping of names to tensors; give a file of weights")
    place = _choice(sets, path, key)
    state = sets[place]
    if loose := sorted(set(_loose(whole)) - {_joined(at, name) for at, held in sets.items() for name in held}):
        text = f"{', '.join(loose[:SHOWN])}{' and others' if len(loose) > SHOWN else ''}"
        warnings.warn(f"{path}: tensors outside of its sets are left out: {text}", Notice, stacklevel=2)
    for name, value in state.items():
        if value.layout is not torch.strided or value.is_quantized or value.is_meta or value.is_nested:
            raise UserError(f"{path}: {name} is not a dense tensor; save dense tensors only")
    return state


def _restricted(path: Path) -> Any:
    _check_archive(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file from an unknown source may fail in any way
        if out_of_memory(error):
            raise
        why = str(error).partition("Please file an issue")[0]
        why = " ".join(why.replace("Weights only load failed.", "").split())[:160]
        raise UserError(
            f"{path}: cannot be opened safely: {why}; if you trust it, save its state_dict alone with safetensors"
        ) from error


def _check_archive(path: Path) -> None:
    """Raise UserError for compressed archives: a few bytes could fill the memory, and torch writes none."""
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            packed = [entry.filename for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UserError(f"{path}: damaged: {error}; fetch it again") from error
    if packed or size > path.stat().st_size:
        raise UserError(f"{path}: a compressed archive, which torch does not write; fetch it again from its source")


def _sets(node: Any, place: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield every mapping of names to tensors below `node`, with its place, as "ema.params"; "" is the whole file.

    Sets within a set come after it.
    """
    if not isinstance(node, Mapping) or depth > DEEPEST:
        return
    tensors = {name: value for name, value in node.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if tensors and len(tensors) >= len(node) / 2:
        yield place, tensors
    for name, value in node.items():
        yield from _sets(value, _joined(place, name), depth + 1)


def _loose(node: Any, place: str = "", depth: int = 0) -> Iterator[str]:
    """Yield the places of tensors of one dimension and more, in lists too; not of a training's other states."""
    if isinstance(node, Tensor) and node.ndim:
        yield place
    elif isinstance(node, Mapping | list | tuple) and depth <= 2 * DEEPEST:
        for name, value in node.items() if isinstance(node, Mapping) else enumerate(node):
            if depth or not str(name).startswith(NO_WEIGHTS):
                yield from _loose(value, _joined(place, name), depth + 1)


def _joined(place: str, name: object) -> str:
    return f"{place}.{name}" if place else str(name)


def _choice(sets: Mapping[str, Any], path: Path, key: str | None) -> str:
    shown = ", ".join(one or WHOLE for one in sorted(sets)[:SHOWN])
    if key is not None:
        if key not in sets:
            raise UserError(f"key={key}: {path} holds the sets {shown}; choose one of them")
        return key
    usual = [place for place in USUAL if place in sets and "" not in sets]
    first = next(iter(sets))
    if not usual and any(one != first and not one.startswith(_joined(first, "")) for one in sets):
        raise UserError(f"{path}: holds several sets of tensors: {shown}; choose one by key=...")
    place = usual[0] if usual else first
    others = [one for one in sorted(sets) if one != place and not one.startswith(NO_WEIGHTS)]
    if others:
        shown = ", ".join(one or WHOLE for one in [place, *others][:SHOWN])
        warnings.warn(
            f"{path}: holds the sets {shown}; {place or WHOLE} is taken, key=... chooses another", Notice, stacklevel=4
        )
    return place
