"""A model on its device, and the settings of torch for a training there."""

from __future__ import annotations

import os
from typing import cast

import torch
from timm.layers.norm_act import convert_sync_batchnorm

from densepred import distributed
from densepred.contracts import Model
from densepred.settings import TrainSettings


def configure_torch(settings: TrainSettings, device: torch.device) -> None:
    if settings.trainer.threads:
        torch.set_num_threads(settings.trainer.threads)
    # warn_only: on GPUs some operations have no deterministic form, and models with them would be refused.
    torch.use_deterministic_algorithms(settings.trainer.deterministic, warn_only=True)
    if settings.trainer.deterministic:  # cuBLAS reads it when it is first used
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Trying algorithms pays for images of one size; without a crop every new size would be tried again.
    torch.backends.cudnn.benchmark = not settings.trainer.deterministic and settings.data.crop is not None
    # On accelerators TF32 is for the network alone: see `Precision`.
    torch.set_float32_matmul_precision("high" if device.type == "cpu" else "highest")


def placed(model: Model, settings: TrainSettings, device: torch.device) -> Model:
    model = _synchronised(model, settings, device)
    order = torch.channels_last if settings.trainer.channels_last else torch.contiguous_format
    return model.to(device=device, memory_format=order)  # pyright: ignore[reportCallIssue]


def _synchronised(model: Model, settings: TrainSettings, device: torch.device) -> Model:
    """Return the model with batch norms that share their statistics over several GPUs."""
    if not settings.trainer.sync_norm or device.type != "cuda" or distributed.world() == 1:
        return model
    return cast(Model, convert_sync_batchnorm(model))  # torch's own converter drops the activations of timm's norms
