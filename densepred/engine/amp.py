"""Mixed precision: the data type of the forward pass, and a scale that keeps small gradients from underflow."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def gradient_scaler(name: str, device: torch.device) -> torch.amp.GradScaler:
    """Return a scaler that acts with fp16 alone: bf16 has the exponents of fp32."""
    return torch.amp.GradScaler(device.type, enabled=name == "fp16")


class Precision:
    """Autocast to `name` on `device`; `scaler` is needed for training alone."""

    def __init__(self, name: str, device: torch.device, scaler: torch.amp.GradScaler | None = None) -> None:
        self.device, self.dtype = device.type, TYPES[name]
        self.scaler = gradient_scaler(name, device) if scaler is None else scaler

    def autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device, self.dtype, enabled=self.dtype != torch.float32)

    def backward(self, loss: Tensor) -> None:
        self.scaler.scale(loss).backward()

    def gradient_norm(self, optimizer: torch.optim.Optimizer, model: nn.Module, clip: float | None) -> Tensor:
        """Unscale the gradients, clip them to the norm `clip`; return their norm before clipping, 0-d."""
        self.scaler.unscale_(optimizer)
        learning = [parameter for parameter in model.parameters() if parameter.grad is not None]
        norm = nn.utils.get_total_norm([parameter.grad for parameter in learning if parameter.grad is not None])
        if clip is not None:
            nn.utils.clip_grads_with_norm_(learning, clip, norm)
        return norm

    def step(self, optimizer: torch.optim.Optimizer, apply: bool) -> None:
        """Update the weights if `apply`; adapt the scale in any case."""
        if apply:
            self.scaler.step(optimizer)
        self.scaler.update()
