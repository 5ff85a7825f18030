"""Memory of this machine, and the largest batch for which a training step fits into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from densepred.cli.command import configs
from densepred.cli.typed import Typed
from densepred.jobs import parts
from densepred.process import memory
from densepred.task import Task
from densepred.transform.instance_crop import DEFAULT
from densepred.types import Info

TASKS = {"semantic": "semantic", "boxes": "detection_fcos", "instances": "instance_center"}
"""The task that is looked at, by the annotations of the dataset; the first that there are."""
SHARE = 0.8
"""Share of the free memory that a step may take."""
STATE = 16
"""Bytes per parameter: weights, gradients and two moments of AdamW in float32."""
BACKWARD = 1.5
"""Memory of a step relative to the activations that it keeps: their gradients and the workspace come on top."""
MIB = 2**20


def suggest(
    info: Info, crop: Sequence[int], images: int, task: str | None = None, given: Sequence[int] | None = None
) -> dict[str, Any] | None:
    """Return the largest batch, a power of two, and what it follows from; None if the task or memory is unknown.

    task: None for the first of TASKS that the dataset has annotations for
    given: `data.crop`; without it `crop` counts, or the usual crop of single instances for tasks that take these
    """
    task = task or next((name for kind, name in TASKS.items() if kind in info.provides and not info.keypoints), None)
    free = free_memory()
    if task is None or free is None:
        return None
    found = built(task, info)
    if found is None:
        return None
    whole, model = found
    crop = given or (DEFAULT if whole.codec.top_down else crop)
    each = BACKWARD * kept(model, (info.channels, *crop))
    state = STATE * sum(parameter.numel() for parameter in model.parameters())
    fits = int(max(0.0, SHARE * free[0] - state) / each)
    size = 2 ** (max(1, min(fits, images)).bit_length() - 1)
    place, mib = free[1], round(each / MIB, 1)
    return {"batch": size, "task": task, "crop": list(crop), "mib": mib, "free_mib": free[0] // MIB, "device": place}


def line(found: dict[str, Any]) -> str:
    """Return the suggestion with its reason."""
    height, width = found["crop"]
    return (
        f"suggested batch at most {found['batch']}: task={found['task']} needs about {found['mib']:g} MiB per image of "
        f"{height}x{width}, and {SHARE:.0%} of {found['free_mib']} MiB are free for it ({found['device']})"
    )


def built(task: str, info: Info) -> tuple[Task, nn.Module] | None:
    """Return a task and its default model without memory for its weights; None for a task of other configs.

    Raises UserError if the dataset does not fit the task.
    """
    found = Typed("train", configs(), []).compose([f"task={task}"])
    if found is None:
        return None
    config = OmegaConf.create(found)
    nodes = [OmegaConf.to_container(config[name], resolve=True) for name in ("task", "model")]
    whole, model = parts.task_and_model(nodes[0], nodes[1], info)  # pyright: ignore[reportArgumentType]
    return whole, model.to("meta")


def kept(model: nn.Module, shape: Sequence[int]) -> int:
    """Return the bytes of the activations that one image of `shape` (C, H, W) adds to what the backward pass needs."""
    return _saved(model, torch.zeros(3, *shape, device="meta")) - _saved(model, torch.zeros(2, *shape, device="meta"))


def _saved(model: nn.Module, images: Tensor) -> int:
    sizes: dict[int, int] = {}
    alive: list[Tensor] = []  # so that no storage takes the place of a former one

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage._cdata] = storage.nbytes()
        alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(images)
    return sum(sizes.values())


def free_memory() -> tuple[int, str] | None:
    """Return the free bytes and the name of the accelerator, else those of main memory; None if they are unknown."""
    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0], torch.cuda.get_device_name()
    free = memory.free_memory()
    return None if free is None else (free, "main memory")
