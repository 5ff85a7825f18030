"""Copying weights that were made for another purpose: what fits is taken, what does not is listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

SHOWN = 6  # names listed of each kind
KINDS = ("by_class", "missing", "unexpected", "conflicts", "expected_extras")


@dataclass(slots=True)
class Coverage:
    """Names of tensors by what became of them."""

    total: int = 0  # tensors that the model has
    loaded: list[str] = field(default_factory=list)
    by_class: list[str] = field(default_factory=list)  # rows taken for the classes of equal name
    missing: list[str] = field(default_factory=list)  # the model keeps its own
    unexpected: list[str] = field(default_factory=list)  # in the file only
    conflicts: list[str] = field(default_factory=list)  # of another shape
    expected_extras: list[str] = field(default_factory=list)  # in the file only, as its family always has

    @property
    def problems(self) -> list[str]:
        """What a whole load must not have. Counters of batches are no weights; old files lack them."""
        missing = [name for name in self.missing if not name.endswith("num_batches_tracked")]
        kinds = {"missing": missing, "unexpected": self.unexpected, "conflict": self.conflicts}
        return [f"{kind} {name}" for kind, names in kinds.items() for name in names]

    def text(self, source: str) -> str:
        """A line for each kind that occurs."""
        lines = [f"weights from {source}: {len(self.loaded)} of {self.total} tensors loaded"]
        for kind in KINDS:
            if names := getattr(self, kind):
                more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
                lines.append(f"  {kind.replace('_', ' ')} ({len(names)}): {', '.join(names[:SHOWN])}{more}")
        return "\n".join(lines)


@torch.no_grad()
def transfer(
    model: nn.Module, state: Mapping[str, Tensor], then: Sequence[str] = (), now: Sequence[str] = ()
) -> Coverage:
    """Copy into `model` every tensor of `state` that fits by name and shape.

    The rows of a head that has one for each of the classes `then` are matched with the classes `now` by name.
    """
    own = model.state_dict()
    coverage = Coverage(len(own))
    pairs = [(now.index(name), then.index(name)) for name in now if name in then]
    for name, target in own.items():
        source = state.get(name)
        if source is not None and (*source.shape, 1, 1) == tuple(target.shape):
            source = source[..., None, None]  # a linear layer is a 1x1 convolution
        if source is None:
            coverage.missing.append(name)
        elif then != now and name.startswith("heads.") and _a_row_each(source, then) and _a_row_each(target, now):
            if pairs and source.shape[1:] == target.shape[1:]:
                to, of = (list(indices) for indices in zip(*pairs, strict=True))
                target[to] = source[of].to(target)
                coverage.by_class.append(f"{name} ({len(pairs)} of {len(now)} classes)")
            else:
                coverage.missing.append(name)
        elif source.shape != target.shape:
            coverage.conflicts.append(f"{name} {tuple(source.shape)} -> {tuple(target.shape)}")
        else:
            target.copy_(source)
            coverage.loaded.append(name)
    coverage.unexpected = [name for name in state if name not in own]
    return coverage


def _a_row_each(tensor: Tensor, classes: Sequence[str]) -> bool:
    return tensor.ndim > 0 and len(tensor) == len(classes) > 0
