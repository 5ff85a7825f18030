"""Modules without random initial values: the values of a file follow, or only shapes matter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

METHODS = ("bernoulli_", "cauchy_", "erfinv_", "exponential_", "log_normal_", "normal_", "random_", "uniform_")
FILLS = {*(getattr(Tensor, name) for name in METHODS), nn.init.uniform_, nn.init.normal_, nn.init.kaiming_uniform_}
"""Functions that fill a tensor: methods, and initialisers that a mode sees whole."""


class WithoutInitialisation(TorchFunctionMode):
    """Let parameters begin at zero where an initialiser would draw random values.

    Tensors on the meta device stay as they are: for these torch would import its compiler, which takes two seconds.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        named = kwargs or {}
        filled = (args[0] if args else named["tensor"]) if func in FILLS else None
        if filled is not None and filled.is_meta:
            return filled
        if isinstance(filled, nn.Parameter):
            return nn.init.zeros_(filled)
        return func(*args, **named)
