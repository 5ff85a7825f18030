"""Files of weights: written completely or not at all, and safe to open even from an unknown source."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from densepred import atomic
from densepred.build import renamed
from densepred.build.allowlist import check_info
from densepred.build.initialisation import WithoutInitialisation
from densepred.build.instantiate import build
from densepred.contracts import Model
from densepred.errors import Notice
from densepred.types import Info, UserError
from densepred.weights import digest, header
from densepred.weights.codec_settings import tell_unused, with_codec_settings
from densepred.weights.header import find_weights, read_header

if TYPE_CHECKING:
    from densepred.task import Task

LEAST = 1_000  # tensors that a model may have whatever its file holds
FEW = 5  # names of a long list that messages show


def save_weights(path: Path, state: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Write named tensors and the description of their model; `header.py` explains its form."""
    described = {"format": header.FORMAT, header.DIGEST: "sha256", **description}
    text = json.dumps(described, ensure_ascii=False, allow_nan=False)
    write_tensors(path, state, {header.KEY: text})


def write_tensors(path: Path, state: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file; one with `metadata` gets digests, see `digest.py`.

    Raises OSError, with its number, if the disk is full.
    """
    tensors = unshared(state)

    def write(temporary: Path) -> None:
        save_file(tensors, temporary, None if metadata is None else {**metadata, digest.KEY: digest.EMPTY})
        if metadata is not None:
            digest.fill(temporary)

    try:
        atomic.replace(path, write)
    except SafetensorError as error:  # a full disk raises it, with the number in the text
        found = re.search(r"os error (\d+)", str(error))
        number = int(found[1]) if found else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error


def unshared(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors contiguous and on the CPU; those that share memory are copied."""
    seen: set[int] = set()
    tensors = {}
    for name, value in state.items():
        tensor = value.detach().cpu().contiguous()
        place = tensor.untyped_storage().data_ptr()
        tensors[name] = tensor.clone() if place in seen or _is_view(tensor) else tensor
        seen.add(place)
    return tensors


def _is_view(tensor: Tensor) -> bool:
    return tensor.untyped_storage().nbytes() != tensor.numel() * tensor.element_size()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return every tensor of a safetensors file, on the CPU. Raises UserError if it is damaged.

    A training that goes on may replace the file while it is read: then the new one is read.
    """
    while True:
        before = _identity(path)
        try:
            return _read_tensors(path)
        except UserError:
            if _identity(path) == before:
                raise


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _read_tensors(path: Path) -> dict[str, Tensor]:
    described, start = header.placed_header(path)
    try:
        with (
            digest.checked(path, start, described.get("__metadata__")),
            safe_open(path, framework="pt") as file,
        ):
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
    except UserError:
        raise
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: {error}; use another checkpoint") from error


PLACES = ("densepred.loss.ce.CrossEntropy", "densepred.loss.mse.MeanSquaredError")
"""A loss for classes and one for values."""


def load_model(
    path: str | Path, trust: Sequence[str] = (), codec: Mapping[str, Any] | None = None, losses: bool = True
) -> tuple[Model, Task, dict[str, Any]]:
    """Return the model of a run or file with its weights, in evaluation mode, its task and its description.

    The file is not trusted: it may name only components of densepred and of the packages in `trust`, and nothing is
    allocated before its shapes are known to fit. `codec` holds settings that replace those of the task's codec.
    Without `losses`, for prediction, losses and metrics of packages that are not trusted are left out.
    """
    file = find_weights(path)
    described, task = described_task(read_header(file), file, trust, codec, losses)
    info = task.info
    try:
        found = shapes(file)
        with at_most(LEAST + 4 * len(found), file):
            check_shapes(_model(described, task, info, trust, "meta").state_dict(), found, file)
        model = _model(described, task, info, trust, "cpu")
    except UserError as error:
        raise UserError(f"{file}: {str(error).removeprefix(f'{file}: ')}") from error
    model.load_state_dict(read_tensors(file))
    return model.eval(), task, described


def described_task(
    described: dict[str, Any],
    file: Path,
    trust: Sequence[str] = (),
    codec: Mapping[str, Any] | None = None,
    losses: bool = True,
) -> tuple[dict[str, Any], Task]:
    """Return the description of a file under present names, and the task that it describes; see `load_model`."""
    described = _present_names(described, file)
    described["task"] = with_codec_settings(described["task"], codec or {})
    try:
        check_info(described["info"])
        described["info"] = header.with_orientation(described)
        task = _task(described["task"], Info.from_json(described["info"]), tuple(trust), losses)
    except UserError as error:
        raise UserError(f"{file}: {str(error).removeprefix(f'{file}: ')}") from error
    tell_unused(task.codec, described["task"], codec or {})
    return described, task


@contextlib.contextmanager
def at_most(count: int, path: Path) -> Iterator[None]:
    """Raise UserError while a model is built with more than `count` tensors: its file has far fewer."""
    registered = itertools.count(1)

    def watch(module: nn.Module, name: str, tensor: object) -> None:
        if next(registered) > count:
            raise UserError(f"{path}: its model would have more tensors than the file; use another checkpoint")

    hooks = [register_module_parameter_registration_hook(watch), register_module_buffer_registration_hook(watch)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _task(node: Mapping[str, Any], info: Info, trust: tuple[str, ...], losses: bool) -> Task:
    """Build the task; without `losses`, unknown ones give way to a loss of their kind, which nothing computes."""
    parts = [node.get(key) or {} for key in ("losses", "metrics")]
    if losses or not all(isinstance(part, Mapping) for part in parts):
        return build(node, trust, "task", info=info)
    own = {name: loss for name, loss in parts[0].items() if foreign(loss) - {*trust}}
    if not own:
        return build(node, trust, "task", info=info)
    metrics = {name: one for name, one in parts[1].items() if not foreign(one) - {*trust}}
    for kinds in itertools.product(PLACES, repeat=len(own)):
        instead = {name: {"_target_": kind} for name, kind in zip(own, kinds, strict=True)}
        with contextlib.suppress(UserError):  # a loss of the other kind
            changed = {**node, "losses": {**node["losses"], **instead}, "metrics": metrics}
            return build(changed, trust, "task", info=info)
    return build(node, trust, "task", info=info)  # refused for another reason


def foreign(node: Any) -> set[str]:
    """Return the packages beside densepred that a node names, nested nodes included."""
    if isinstance(node, list | tuple):
        return set().union(*map(foreign, node))
    if not isinstance(node, Mapping):
        return set()
    target = str(node.get("_target_", "densepred")).partition(".")[0]
    return set().union({target} - {"densepred"}, *map(foreign, node.values()))


def _present_names(described: dict[str, Any], file: Path) -> dict[str, Any]:
    """Return the description with arguments of components under their present names."""
    changed: set[str] = set()
    found = {**described, **{kind: renamed.node(described[kind], changed) for kind in ("model", "task")}}
    if changed:
        warnings.warn(
            f"{file}: keys read under their present names: {', '.join(sorted(changed))}", Notice, stacklevel=2
        )
    return found


def _model(described: Mapping[str, Any], task: Task, info: Info, trust: Sequence[str], device: str) -> Model:
    with torch.device(device), WithoutInitialisation():
        return build(described["model"], tuple(trust), "model", **model_arguments(task, info))


def model_arguments(task: Task, info: Info) -> dict[str, Any]:
    """Return the arguments of a model that come from its task and its data."""
    return {"heads": task.heads, "channels": info.channels, "mean": info.mean, "std": info.std}


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a file, from its header alone."""
    entries = {name: entry for name, entry in header.raw_header(path).items() if name != "__metadata__"}
    return {name: tuple(entry.get("shape", ())) for name, entry in entries.items()}


def check_shapes(state: Mapping[str, Tensor], found: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Raise UserError unless the shapes `found` in a file are exactly those of `state`."""
    for fact, names in (
        ("lacks", [name for name in state if name not in found]),
        ("holds unknown", [name for name in found if name not in state]),
    ):
        if names:
            more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
            raise UserError(f"{path}: {fact} {', '.join(names[:FEW])}{more}; it is of another model; use another")
    for name, value in state.items():
        if tuple(value.shape) != found[name]:
            raise UserError(f"{path}: {name} is {found[name]}, the model has {tuple(value.shape)}; use another file")
