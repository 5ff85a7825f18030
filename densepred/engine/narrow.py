"""Convolutions of maps narrower than their stride, in half precision on a CPU: oneDNN reads unwritten memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

STRIDE = 3  # the position of the stride among the arguments of both functions


class NarrowInFloat32(TorchFunctionMode):
    """Compute convolutions of maps that are narrower than their stride in float32 under any autocast.

    The gradient of their weights in bfloat16 by oneDNN holds unwritten memory: other numbers at each call, up to 1e34.
    A pyramid's coarsest maps are that narrow: one pixel, with stride 2. Transposed convolutions have the fault if what
    they return is narrower. Such maps are so small that float32 costs nothing.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if func is torch.conv2d and _narrower(args[0], _stride(args, given)):
            return _in_float32(func, args, given)
        found = func(*args, **given)
        if func is torch.conv_transpose2d and _narrower(found, _stride(args, given)):
            return _in_float32(func, args, given)
        return found


def _stride(args: Sequence[Any], given: Mapping[str, Any]) -> int:
    """Return the horizontal stride."""
    stride = args[STRIDE] if len(args) > STRIDE else given.get("stride", 1)
    return stride if isinstance(stride, int) else stride[-1]


def _narrower(image: Tensor, stride: int) -> bool:
    return image.shape[-1] < stride and image.device.type == "cpu"


def _in_float32(func: Callable[..., Any], args: Sequence[Any], given: Mapping[str, Any]) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return func(
            *(_float(value) for value in args),
            **{name: _float(value) for name, value in given.items()},
        )


def _float(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) else value
