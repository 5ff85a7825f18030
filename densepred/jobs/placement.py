"""A model on its device, and the settings of torch for a training there."""

from __future__ import annotations

import os
import warnings
from typing import cast

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from densepred import distributed
from densepred.contracts import Encoder, Model
from densepred.encoder.activation_checkpointing import Checkpointed
from densepred.engine import sharding
from densepred.errors import Notice, UserError
from densepred.process import memory, processors, starting
from densepred.process.role import is_first
from densepred.settings import TrainSettings

UNSHARED = (
    "trainer.sync_norm=true: batch norms share statistics on CUDA alone; on {} each of {} processes takes those of its "
    "own images, so weights differ from those of one process; group norms (norm=group) agree"
)


def configure_torch(settings: TrainSettings, device: torch.device) -> None:
    starting.imported()
    processors.use_threads(settings.trainer.threads)
    if device.type == "cpu":
        memory.keep()
    # Only a warning: on GPUs some operations have no deterministic form, and models with them would be refused.
    deterministic = settings.trainer.deterministic
    torch.set_deterministic_debug_mode("warn" if deterministic else "default")
    if settings.trainer.compile:  # tells the compiler too, which takes a second to import
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
    if deterministic:  # cuBLAS reads it when it is first used
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Trying algorithms pays for images of one size; without a crop every new size would be tried again.
    torch.backends.cudnn.benchmark = not deterministic and settings.data.crop is not None
    # On accelerators TF32 is for the network alone: see `Precision`.
    torch.set_float32_matmul_precision("high" if device.type == "cpu" else "highest")


def placed(model: Model, settings: TrainSettings, device: torch.device) -> Model:
    if settings.trainer.shard:
        sharding.require(model)
    model = _synchronised(model, settings, device)
    # FSDP2 divides contiguous weights alone; images are channels-last anyway.
    last = settings.trainer.channels_last and not settings.trainer.shard
    order = torch.channels_last if last else torch.contiguous_format
    model = model.to(device=device, memory_format=order)  # pyright: ignore[reportCallIssue]
    if settings.trainer.checkpointing:
        _checkpoint(model)
    return model


def _checkpoint(model: Model) -> None:
    """Turn gradient checkpointing on in the encoders of a model; raise UserError if there is none that can."""
    encoders = [part for part in model.modules() if isinstance(part, Encoder)]
    if not encoders:
        raise UserError(
            f"trainer.checkpointing=true: {type(model).__name__} has no encoder, and no other activations are computed "
            "again; set trainer.checkpointing=false, or choose a model of encoder and decoder"
        )
    for encoder in encoders:
        if not isinstance(encoder, Checkpointed):
            raise UserError(
                f"trainer.checkpointing=true: {type(encoder).__name__} cannot; derive it from "
                "densepred.encoder.activation_checkpointing.Checkpointed, or set trainer.checkpointing=false"
            )
        encoder.checkpoint()


def _synchronised(model: Model, settings: TrainSettings, device: torch.device) -> Model:
    """Return the model with batch norms that share their statistics over several GPUs; on a CPU torch has none."""
    world = distributed.world()
    if not settings.trainer.sync_norm or world == 1:
        return model
    if device.type != "cuda":
        if is_first() and any(isinstance(part, _BatchNorm) for part in model.modules()):
            warnings.warn(Notice(UNSHARED.format(device.type, world)), stacklevel=2)
        return model
    from timm.layers.norm_act import convert_sync_batchnorm  # timm is slow to import, and few runs need it

    return cast(Model, convert_sync_batchnorm(model))  # torch's own converter drops the activations of timm's norms
