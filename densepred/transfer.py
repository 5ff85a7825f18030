"""Starting from weights that were made for another purpose: what fits is taken, what does not is listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from densepred.errors import UserError

SHOWN = 6  # names listed of each kind
OURS = "encoder."
CLASSIFIERS = ("fc.", "classifier.", "head.", "last_linear.", "aux_classifier.")


@dataclass(slots=True)
class Coverage:
    """Names of tensors by what became of them."""

    loaded: list[str] = field(default_factory=list)
    by_class: list[str] = field(default_factory=list)  # rows taken for the classes of equal name
    missing: list[str] = field(default_factory=list)  # the model keeps its own
    unexpected: list[str] = field(default_factory=list)  # in the file only
    conflicts: list[str] = field(default_factory=list)  # of another shape

    def text(self, source: str) -> str:
        """A line for each kind that occurs."""
        lines = [f"weights from {source}: {len(self.loaded)} tensors loaded"]
        for name in ("by_class", "missing", "unexpected", "conflicts"):
            if names := getattr(self, name):
                more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
                lines.append(f"  {name.replace('_', ' ')} ({len(names)}): {', '.join(names[:SHOWN])}{more}")
        return "\n".join(lines)


@torch.no_grad()
def transfer(
    model: nn.Module, state: Mapping[str, Tensor], then: Sequence[str] = (), now: Sequence[str] = ()
) -> Coverage:
    """Copy into `model` every tensor of `state` that fits by name and shape.

    The rows of a head that has one for each of the classes `then` are matched with the classes `now` by name.
    """
    own, coverage = model.state_dict(), Coverage()
    pairs = [(now.index(name), then.index(name)) for name in now if name in then]
    for name, target in own.items():
        source = state.get(name)
        if source is None:
            coverage.missing.append(name)
        elif name.startswith("heads.") and (then != now) and _a_row_each(source, then) and _a_row_each(target, now):
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


def transfer_encoder(encoder: nn.Module, state: Mapping[str, Tensor], source: str) -> Coverage:
    """Load an encoder's weights: of a run, or official ones, without the names of the module that wraps its body.

    A classifier's last layers are no surprise. Raises UserError where less than the whole encoder is covered.
    """
    own = encoder.state_dict()
    if run := {name: value for name, value in state.items() if name.startswith(OURS)}:
        state = {name.removeprefix(OURS): value for name, value in run.items()}
    state = {name: value for name, value in state.items() if not name.startswith(CLASSIFIERS)}
    best: dict[str, Tensor] = {}
    for prefix in {"", *(f"{name}." for name, _ in encoder.named_children())}:
        named = {f"{prefix}{name}": value for name, value in state.items()}
        if len(named.keys() & own.keys()) > len(best.keys() & own.keys()):
            best = named
    coverage = transfer(encoder, best)
    left = [name for name in coverage.missing if not name.endswith("num_batches_tracked")]
    if left or coverage.conflicts or not coverage.loaded:
        problem = (coverage.conflicts or left or ["no name in common"])[0]
        raise UserError(
            f"weights.encoder={source}: {len(coverage.loaded)} of {len(own)} tensors of the encoder are covered "
            f"(first problem: {problem}); choose the encoder that the file was made for"
        )
    return coverage


def _a_row_each(tensor: Tensor, classes: Sequence[str]) -> bool:
    return tensor.ndim > 0 and len(tensor) == len(classes) > 0
