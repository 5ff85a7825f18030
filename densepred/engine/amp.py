"""Mixed precision: the data type of the forward pass, and a scale that keeps small gradients from underflow."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from densepred import distributed
from densepred.engine.narrow import NarrowInFloat32
from densepred.errors import Notice
from densepred.nn import matmul_precision

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def gradient_scaler(name: str, device: torch.device) -> torch.amp.GradScaler:
    """Return a scaler that acts with fp16 alone: bf16 has the exponents of fp32."""
    return torch.amp.GradScaler(device.type, enabled=name == "fp16")


def native(name: str) -> bool:
    """Return True if this CPU has instructions for the products of a data type."""
    wide = torch.cpu._is_amx_tile_supported()
    if name == "fp16":
        return wide and torch.cpu._is_amx_fp16_supported()
    return name == "fp32" or wide or torch.cpu._is_avx512_bf16_supported()


class Precision:
    """Autocast to `name` on `device`; `scaler` is needed for training alone."""

    def __init__(self, name: str, device: torch.device, scaler: torch.amp.GradScaler | None = None) -> None:
        self.device, self.dtype = device.type, TYPES[name]
        self.scaler = gradient_scaler(name, device) if scaler is None else scaler
        if device.type == "cpu" and not native(name):
            warnings.warn(
                f"precision {name}: this CPU has no instructions for {name} and emulates them, so every step is much "
                "slower than in fp32; type trainer.precision=fp32 (precision=fp32 for other commands)",
                Notice,
                stacklevel=2,
            )

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Compute in the chosen type; on an accelerator, matrix products of float32 in TF32."""
        enabled = self.dtype != torch.float32
        autocast = torch.autocast(self.device, self.dtype, enabled=enabled)
        with matmul_precision("high", self.device), autocast, self._narrow():
            yield

    def backward(self, loss: Tensor) -> None:
        with matmul_precision("high", self.device), self._narrow():  # gradient checkpointing computes forward again
            self.scaler.scale(loss).backward()

    def _narrow(self) -> AbstractContextManager[object]:
        return NarrowInFloat32() if self.device == "cpu" and self.dtype != torch.float32 else nullcontext()

    def can_lower_scale(self) -> bool:
        """Return True if the scale of fp16 can still be lowered: gradients that overflow are then expected."""
        return self.scaler.is_enabled() and self.scaler.get_scale() > 1

    def gradient_norm(self, optimizer: torch.optim.Optimizer, model: nn.Module, clip: float | None) -> Tensor:
        """Unscale the gradients, clip them to the norm `clip`; return their norm before clipping, 0-d."""
        self.scaler.unscale_(optimizer)
        learning = [parameter for parameter in model.parameters() if parameter.grad is not None]
        gradients = [parameter.grad for parameter in learning if parameter.grad is not None]
        rows = [distributed.own(gradient) for gradient in gradients]
        norm = nn.utils.get_total_norm(rows)
        if any(mine is not gradient for mine, gradient in zip(rows, gradients, strict=True)):
            norm = distributed.norm_over_ranks(norm)
        if clip is not None:
            nn.utils.clip_grads_with_norm_(learning, clip, norm)
        return norm

    def step(self, optimizer: torch.optim.Optimizer, apply: bool) -> None:
        """Update the weights if `apply`; adapt the scale in any case."""
        if apply:
            self.scaler.step(optimizer)
        self.scaler.update()
