"""Copy of the weights that fit a model, and a list of those that do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from densepred.contracts import Model
from densepred.weights.former_heads import Names

SHOWN = 6  # names listed per kind
KINDS = ("by_name", "missing", "unexpected", "conflicts", "expected_extras")


@dataclass(slots=True)
class Coverage:
    """Names of tensors, by the outcome of copying them."""

    total: int = 0  # tensors that the model has
    loaded: list[str] = field(default_factory=list)
    by_name: list[str] = field(default_factory=list)  # channels copied for classes or keypoints of equal name
    missing: list[str] = field(default_factory=list)  # not in the file: the model keeps its own
    unexpected: list[str] = field(default_factory=list)  # in the file only
    conflicts: list[str] = field(default_factory=list)  # of another shape
    expected_extras: list[str] = field(default_factory=list)  # in the file only, as its family always has

    @property
    def taken(self) -> int:
        """Number of tensors that the model has from the file, whole or in part."""
        return len(self.loaded) + len(self.by_name)

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
        lines = [f"weights from {source}: {self.taken} of {self.total} tensors loaded"]
        for kind in KINDS:
            if names := getattr(self, kind):
                more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
                lines.append(f"  {kind.replace('_', ' ')} ({len(names)}): {', '.join(names[:SHOWN])}{more}")
        return "\n".join(lines)


@torch.no_grad()
def copy_matching(
    model: nn.Module,
    state: Mapping[str, Tensor],
    before: Names | None = None,
    after: Names | None = None,
) -> Coverage:
    """Copy into `model` every tensor of `state` that fits by name and shape.

    Channels of heads are matched by name: `before` holds the names of those in `state`, `after` of the model's. The
    model declares which dimensions run over them. Without `before` they are taken in the order of the file.
    """
    own = model.state_dict()
    coverage = Coverage(len(own))
    axes = model.channel_axes() if isinstance(model, Model) and before and after else {}
    for name, target in own.items():
        source = state.get(name)
        if source is not None and (*source.shape, 1, 1) == tuple(target.shape):
            source = source[..., None, None]  # a linear layer is a 1x1 convolution
        elif source is not None and tuple(source.shape) == (*target.shape, 1, 1):
            source = source[..., 0, 0]
        moved = _moved(axes.get(name, {}), before or {}, after or {})
        if source is None:
            coverage.missing.append(name)
        elif moved:
            _copy_channels(name, target, source, moved, coverage)
        elif source.shape != target.shape:
            coverage.conflicts.append(f"{name} {tuple(source.shape)} -> {tuple(target.shape)}")
        else:
            target.copy_(source)
            coverage.loaded.append(name)
    coverage.unexpected = [name for name in state if name not in own]
    return coverage


@dataclass(frozen=True, slots=True)
class Matching:
    """Pairs of channels of equal name along one dimension, and its lengths in the model and in the file."""

    to: list[int]
    of: list[int]
    length: int
    former: int


def _moved(axes: Mapping[int, Sequence[str | int]], before: Names, after: Names) -> dict[int, Matching]:
    """Return the matching of each dimension if channels of a head differ by name or order; else {}."""
    heads = {part for parts in axes.values() for part in parts if isinstance(part, str)}
    if all(before.get(head, after[head]) == after[head] for head in heads):
        return {}
    return {dim: _matching(parts, before, after) for dim, parts in axes.items()}


def _matching(parts: Sequence[str | int], before: Names, after: Names) -> Matching:
    to, of, start, former = list[int](), list[int](), 0, 0
    for part in parts:
        names = tuple(map(str, range(part))) if isinstance(part, int) else after[part]
        old = names if isinstance(part, int) else before.get(part, names)
        places = {name: index for index, name in enumerate(old)}
        for index, name in enumerate(names):
            if name in places:
                to.append(start + index)
                of.append(former + places[name])
        start, former = start + len(names), former + len(old)
    return Matching(to, of, start, former)


def _copy_channels(
    name: str, target: Tensor, source: Tensor, moved: Mapping[int, Matching], coverage: Coverage
) -> None:
    """Copy the channels of equal name; the model keeps its own of the others."""
    dims = range(target.ndim)
    wanted = [moved[dim].former if dim in moved else target.shape[dim] for dim in dims]
    if list(source.shape) != wanted:
        coverage.conflicts.append(f"{name} {tuple(source.shape)} -> {tuple(target.shape)}")
        return
    if not all(one.to for one in moved.values()):
        coverage.missing.append(name)
        return
    every = [list(range(length)) for length in target.shape]
    to = [torch.tensor(moved[dim].to if dim in moved else every[dim]) for dim in dims]
    of = [torch.tensor(moved[dim].of if dim in moved else every[dim]) for dim in dims]
    target[torch.meshgrid(*to, indexing="ij")] = source[torch.meshgrid(*of, indexing="ij")].to(target)
    one = moved[min(moved)]
    coverage.by_name.append(f"{name} ({len(one.to)} of {one.length} channels)")
