"""One operation on many tensors: a handful of kernels on an accelerator instead of one per tensor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from densepred.distributed import own
from densepred.nn import BatchNorm2d

Lists = tuple[list[Tensor], list[Tensor]]


@torch.no_grad()
def copy(into: Sequence[Tensor], source: Sequence[Tensor]) -> None:
    """Copy each tensor of `source` to the one of `into` at its place."""
    for first, second in _alike(into, source):
        torch._foreach_copy_(first, second)  # pyright: ignore[reportPrivateImportUsage]: torch.optim calls it


@torch.no_grad()
def lerp(into: Sequence[Tensor], end: Sequence[Tensor], weight: float) -> None:
    """Move each tensor of `into` by the fraction `weight` of the way to its `end`."""
    for first, second in _alike(into, end):
        torch._foreach_lerp_(first, second, weight)  # pyright: ignore[reportPrivateImportUsage]


@torch.no_grad()
def count_batches(model: nn.Module) -> None:
    """Bring `num_batches_tracked` of the batch norms of a network up to date, norms of equal counts together."""
    counts: dict[int, list[Tensor]] = defaultdict(list)
    for part in model.modules():
        if isinstance(part, BatchNorm2d) and part.uncounted and part.num_batches_tracked is not None:
            counts[part.uncounted].append(part.num_batches_tracked)
            part.uncounted = 0
    for number, tensors in counts.items():
        torch._foreach_add_(tensors, number)  # pyright: ignore[reportPrivateImportUsage]


def _alike(first: Sequence[Tensor], second: Sequence[Tensor]) -> list[Lists]:
    """Group pairs by device and type: with several, torch takes one kernel per tensor.

    Of tensors that are divided over processes, both alike, this process changes its rows.
    """
    groups: dict[tuple[torch.device, torch.dtype], Lists] = defaultdict(lambda: ([], []))
    for one, other in zip(first, second, strict=True):
        mine, theirs = groups[one.device, one.dtype]
        mine.append(own(one.detach()))
        theirs.append(own(other.detach()))
    return list(groups.values())
