"""Files of weights: written whole or not at all, and safe to open whoever wrote them."""

from __future__ import annotations

import errno
import json
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from densepred import atomic
from densepred.atomic import write_json as write_json
from densepred.build import renamed
from densepred.build.allowlist import check_info
from densepred.build.instantiate import build
from densepred.contracts import Model
from densepred.errors import Notice
from densepred.nn import choose
from densepred.types import Info, UserError
from densepred.weights import header
from densepred.weights.header import find as find
from densepred.weights.header import read_header as read_header

if TYPE_CHECKING:
    from densepred.task import Task

FEW = 5  # names shown of a long list


def save_weights(path: Path, state: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Write named tensors and the description of what they are; see `header.py` for its form."""
    text = json.dumps({"format": header.FORMAT, **description}, ensure_ascii=False, allow_nan=False)
    write_tensors(path, state, {header.KEY: text})


def write_tensors(path: Path, state: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    tensors = independent(state)
    try:
        atomic.replace(path, lambda temporary: save_file(tensors, temporary, metadata))
    except SafetensorError as error:  # a full disk comes as one of these, its number in the text
        found = re.search(r"os error (\d+)", str(error))
        number = int(found[1]) if found else errno.EIO
        raise OSError(number, os.strerror(number)) from error


def independent(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, dense and on the CPU, those that share memory copied."""
    seen: set[int] = set()
    tensors = {}
    for name, value in state.items():
        tensor = value.detach().cpu().contiguous()
        place = tensor.untyped_storage().data_ptr()
        tensors[name] = tensor.clone() if place in seen or _partial(tensor) else tensor
        seen.add(place)
    return tensors


def _partial(tensor: Tensor) -> bool:
    return tensor.untyped_storage().nbytes() != tensor.numel() * tensor.element_size()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file."""
    header.raw_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: {error}; use another checkpoint") from error


def load_model(
    path: str | Path, trust: Sequence[str] = (), codec: Mapping[str, Any] | None = None
) -> tuple[Model, Task, dict[str, Any]]:
    """The model of a run or file with its weights, ready to predict; its task; its description.

    The file is not trusted: it may name only components of densepred and of the packages in `trust`, and nothing is
    allocated before its shapes are known to fit. `codec` holds settings in the place of the task's own.
    """
    file = find(path)
    described = _present_names(read_header(file), file)
    described["task"] = with_settings(described["task"], codec or {})
    try:
        check_info(described["info"])
        info = Info.from_json(described["info"])
        task: Task = build(described["task"], tuple(trust), "task", info=info)
        compare(_model(described, task, info, trust, "meta").state_dict(), shapes(file), file)
        model = _model(described, task, info, trust, "cpu")
    except UserError as error:
        raise UserError(f"{file}: {str(error).removeprefix(f'{file}: ')}") from error
    model.load_state_dict(read_tensors(file))
    return model.eval(), task, described


def _present_names(described: dict[str, Any], file: Path) -> dict[str, Any]:
    """Return the description with arguments of components under their present names."""
    changed: set[str] = set()
    found = {**described, **{kind: renamed.node(described[kind], changed) for kind in ("model", "task")}}
    if changed:
        warnings.warn(
            f"{file}: keys read under their present names: {', '.join(sorted(changed))}", Notice, stacklevel=2
        )
    return found


def with_settings(task: Mapping[str, Any], codec: Mapping[str, Any]) -> dict[str, Any]:
    """A task whose codec has other settings, such as thresholds by which it decodes."""
    known = task.get("codec")
    if not isinstance(known, Mapping):  # which is refused when it is built
        return dict(task)
    for key in codec:
        choose("key of codec", key, [name for name in known if not str(name).startswith("_")])
    return {**task, "codec": {**known, **codec}}


def _model(described: Mapping[str, Any], task: Task, info: Info, trust: Sequence[str], device: str) -> Model:
    with torch.device(device):
        return build(described["model"], tuple(trust), "model", **model_arguments(task, info))


def model_arguments(task: Task, info: Info) -> dict[str, Any]:
    """What a model takes from its task and its data."""
    return {"heads": task.heads, "channels": info.channels, "mean": info.mean, "std": info.std}


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a file, from its header alone."""
    entries = {name: entry for name, entry in header.raw_header(path).items() if name != "__metadata__"}
    return {name: tuple(entry.get("shape", ())) for name, entry in entries.items()}


def compare(state: Mapping[str, Tensor], found: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Refuse weights that do not fit a model exactly."""
    for what, names in (
        ("lacks", [name for name in state if name not in found]),
        ("holds unknown", [name for name in found if name not in state]),
    ):
        if names:
            more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
            raise UserError(f"{path}: {what} {', '.join(names[:FEW])}{more}; its weights are not of this model")
    for name, value in state.items():
        if tuple(value.shape) != found[name]:
            raise UserError(f"{path}: {name} is {found[name]}, the model has {tuple(value.shape)}; use another file")
