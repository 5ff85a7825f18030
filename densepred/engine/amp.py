"""Mixed precision: which numbers the forward pass uses, and how their gradients are kept from vanishing."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Precision:
    """Autocast to `name` on the device of a run; gradients are scaled for fp16 only, whose exponents are short."""

    def __init__(self, name: str, device: torch.device) -> None:
        self.device, self.dtype = device.type, TYPES[name]
        self.scaler = torch.amp.GradScaler(device.type, enabled=name == "fp16")

    def autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device, self.dtype, enabled=self.dtype != torch.float32)

    def backward(self, loss: Tensor) -> None:
        self.scaler.scale(loss).backward()

    def gradient_norm(self, optimizer: torch.optim.Optimizer, model: nn.Module, clip: float | None) -> Tensor:
        """Unscale the gradients, clip them to the norm `clip`, and give the norm that they had."""
        self.scaler.unscale_(optimizer)
        learning = [parameter for parameter in model.parameters() if parameter.grad is not None]
        norm = nn.utils.get_total_norm([parameter.grad for parameter in learning if parameter.grad is not None])
        if clip is not None:
            nn.utils.clip_grads_with_norm_(learning, clip, norm)
        return norm

    def step(self, optimizer: torch.optim.Optimizer, apply: bool) -> None:
        """Move the weights if `apply`, and adapt the scale either way."""
        if apply:
            self.scaler.step(optimizer)
        self.scaler.update()
