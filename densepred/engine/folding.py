"""Batch norms of a network in evaluation, computed as part of the convolutions before them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from densepred.nn import BatchNorm2d
from densepred.ops.atrous import AtrousConv2d


@contextmanager
def folded(model: nn.Module) -> Iterator[None]:
    """Fold the norms of a model within a `with` block, in which its weights and statistics must not change."""
    changed = fold(model)
    try:
        yield
    finally:
        for part in changed:
            del part.__dict__["forward"]


@torch.no_grad()
def fold(model: nn.Module) -> list[nn.Module]:
    """Let convolutions apply the batch norms that follow them; return the modules that got another `forward`.

    A norm with running statistics is linear: its scale goes into the weights, its shift into the bias. That saves one
    pass over each feature map, and changes outputs by rounding alone. Parameters and buffers stay as they are; a second
    copy of the weights is kept. This is for float32 on a CPU, where a pass costs much beside a convolution.

    Pairs are neighbours in `nn.Sequential`, and those that a module names in `normed`. Modules with hooks, compiled
    ones, shared ones, and weights that are divided among processes are left alone.
    """
    changed: list[nn.Module] = []
    if any(part._compiled_call_impl is not None for part in model.modules()):
        return changed
    places = Counter(part for _, part in model.named_modules(remove_duplicate=False))  # a shared one may have two norms
    for parent in model.modules():
        for conv, norm in _pairs(parent):
            if not isinstance(conv, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d) or norm.training:
                continue
            alone = places[conv] == places[norm] == 1
            if alone and _as_typed(conv) and _as_typed(norm) and norm.running_var is not None:
                weight, bias = _weights(conv, norm)
                conv.__dict__["forward"] = partial(conv._conv_forward, weight=weight, bias=bias)
                norm.__dict__["forward"] = _unchanged
                changed += [conv, norm]
    return changed


def _pairs(parent: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    if isinstance(parent, nn.Sequential) and type(parent).forward is nn.Sequential.forward:
        yield from pairwise(parent)
    named: Any = getattr(parent, "normed", ())
    for conv, norm in named:
        yield getattr(parent, conv), getattr(parent, norm)


def _as_typed(part: nn.Conv2d | nn.BatchNorm2d) -> bool:
    """Tell whether a module computes what its type stands for, in float32 on a CPU; subclasses may compute more."""
    return (
        type(part) in (nn.Conv2d, AtrousConv2d, nn.BatchNorm2d, BatchNorm2d)
        and not (part._forward_hooks or part._forward_pre_hooks or "forward" in vars(part))
        and type(part.weight) is nn.Parameter
        and (part.weight.device.type, part.weight.dtype) == ("cpu", torch.float32)
    )


def _weights(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return the weights (O, I, h, w) and the bias (O) of both together; factors are computed in float64."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    before = 0 if conv.bias is None else conv.bias.double()
    bias = norm.bias.double() + scale * (before - norm.running_mean.double())
    return conv.weight * scale.float().view(-1, 1, 1, 1), bias.float()


def _unchanged(x: Tensor) -> Tensor:
    return x
