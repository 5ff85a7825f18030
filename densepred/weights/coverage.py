"""Copy of the weights that fit a model, and a list of those that do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

SHOWN = 6  # names listed per kind
KINDS = ("by_class", "missing", "unexpected", "conflicts", "expected_extras")


@dataclass(slots=True)
class Coverage:
    """Names of tensors, by the outcome of copying them."""

    total: int = 0  # tensors that the model has
    loaded: list[str] = field(default_factory=list)
    by_class: list[str] = field(default_factory=list)  # rows copied for classes of equal name
    missing: list[str] = field(default_factory=list)  # not in the file: the model keeps its own
    unexpected: list[str] = field(default_factory=list)  # in the file only
    conflicts: list[str] = field(default_factory=list)  # of another shape
    expected_extras: list[str] = field(default_factory=list)  # in the file only, as its family always has

    @property
    def problems(self) -> list[str]:
        """One entry per tensor that keeps the file from being the whole model.

        Counters of batches are exempt: they are no weights, and old files lack them.
        """
        missing = [name for name in self.missing if not name.endswith("num_batches_tracked")]
        kinds = {"missing": missing, "unexpected": self.unexpected, "conflict": self.conflicts}
        return [f"{kind} {name}" for kind, names in kinds.items() for name in names]

    def text(self, source: str) -> str:
        """Return one line per kind that occurs."""
        lines = [f"weights from {source}: {len(self.loaded)} of {self.total} tensors loaded"]
        for kind in KINDS:
            if names := getattr(self, kind):
                more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
                lines.append(f"  {kind.replace('_', ' ')} ({len(names)}): {', '.join(names[:SHOWN])}{more}")
        return "\n".join(lines)


@torch.no_grad()
def copy_matching(
    model: nn.Module,
    state: Mapping[str, Tensor],
    old_classes: Sequence[str] = (),
    new_classes: Sequence[str] = (),
) -> Coverage:
    """Copy into `model` every tensor of `state` that fits by name and shape.

    A head with one row per class gets its rows by the names of the classes, from `old_classes` to `new_classes`.
    """
    own = model.state_dict()
    coverage = Coverage(len(own))
    pairs = [(new_classes.index(name), old_classes.index(name)) for name in new_classes if name in old_classes]
    heads = [name for name in own if name.startswith("heads.") and _per_class(own[name], new_classes)]
    by_class = heads if old_classes != new_classes else []
    for name, target in own.items():
        source = state.get(name)
        if source is not None and (*source.shape, 1, 1) == tuple(target.shape):
            source = source[..., None, None]  # a linear layer is a 1x1 convolution
        if source is None:
            coverage.missing.append(name)
        elif name in by_class and _per_class(source, old_classes):
            if pairs and source.shape[1:] == target.shape[1:]:
                to, of = (list(indices) for indices in zip(*pairs, strict=True))
                target[to] = source[of].to(target)
                coverage.by_class.append(f"{name} ({len(pairs)} of {len(new_classes)} classes)")
            else:
                coverage.missing.append(name)
        elif source.shape != target.shape:
            coverage.conflicts.append(f"{name} {tuple(source.shape)} -> {tuple(target.shape)}")
        else:
            target.copy_(source)
            coverage.loaded.append(name)
    coverage.unexpected = [name for name in state if name not in own]
    return coverage


def _per_class(tensor: Tensor, classes: Sequence[str]) -> bool:
    return tensor.ndim > 0 and len(tensor) == len(classes) > 0
