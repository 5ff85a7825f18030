"""Renaming of published tensors by patterns; joining, splitting and reordering of those that are laid out otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Rules = Sequence[tuple[str, str | None]]
Orders = Sequence[tuple[str, Sequence[int]]]
Changes = Sequence[tuple[str, Callable[[Tensor], Tensor]]]


class Merge(NamedTuple):
    """Tensors of the file that are one of ours, in the order of their patterns.

    `how` is rows or columns, joined along the first or the second dimension, or sum.
    """

    patterns: tuple[str, ...]
    to: str
    how: str = "rows"


class Split(NamedTuple):
    """A tensor of the file that is several of ours: their names, and the share of its rows that each takes."""

    pattern: str
    to: tuple[str, ...]
    shares: tuple[int, ...]


Merges = Sequence[Merge]
Splits = Sequence[Split]

MIT_RULES: Rules = (
    (r"patch_embeddings\.(\d)\.proj\.(.+)", r"stages.\1.embed.\2"),
    (r"patch_embeddings\.(\d)\.layer_norm\.(.+)", r"stages.\1.enter.\2"),
    (r"layer_norm\.(\d)\.(.+)", r"stages.\1.leave.\2"),
    (r"block\.(\d)\.(\d+)\.attention\.self\.query\.(.+)", r"stages.\1.blocks.\2.attention.q.\3"),
    (r"block\.(\d)\.(\d+)\.attention\.self\.sr\.(.+)", r"stages.\1.blocks.\2.attention.reduce.\3"),
    (r"block\.(\d)\.(\d+)\.attention\.self\.layer_norm\.(.+)", r"stages.\1.blocks.\2.attention.norm.\3"),
    (r"block\.(\d)\.(\d+)\.attention\.output\.dense\.(.+)", r"stages.\1.blocks.\2.attention.proj.\3"),
    (r"block\.(\d)\.(\d+)\.layer_norm_(\d)\.(.+)", r"stages.\1.blocks.\2.norm\3.\4"),
    (r"block\.(\d)\.(\d+)\.mlp\.dense(\d)\.(.+)", r"stages.\1.blocks.\2.fc\3.\4"),
    (r"block\.(\d)\.(\d+)\.mlp\.dwconv\.dwconv\.(.+)", r"stages.\1.blocks.\2.conv.\3"),
)
"""Names of the encoder of SegFormer at Hugging Face, below `segformer.encoder.`, to ours."""

MIT_MERGES: Merges = (
    Merge(
        (
            r"block\.(\d)\.(\d+)\.attention\.self\.key\.(.+)",
            r"block\.(\d)\.(\d+)\.attention\.self\.value\.(.+)",
        ),
        r"stages.\1.blocks.\2.attention.kv.\3",
    ),
)


def prefixed(rules: Rules, theirs: str, ours: str) -> Rules:
    """Return the rules below a prefix of each side; `theirs` is a pattern without groups."""
    return tuple((theirs + pattern, to if to is None else ours + to) for pattern, to in rules)


def prefixed_merges(merges: Merges, theirs: str, ours: str) -> Merges:
    """Return the merges below a prefix of each side; `theirs` is a pattern without groups."""
    return tuple(Merge(tuple(theirs + one for one in patterns), ours + to, how) for patterns, to, how in merges)


def rename(
    state: Mapping[str, Tensor],
    rules: Rules,
    merges: Merges = (),
    splits: Splits = (),
    orders: Orders = (),
    changes: Changes = (),
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors under our names, and the names of those that no model needs.

    The first pattern that matches a whole name renames it; tensors without a rule keep their names. A merge takes place
    once all of its tensors are there. `orders` are those of input channels, by our names: see `reordered`.
    `changes` are functions of tensors, by our names, such as one to other units.
    """
    names, ours = joined(state, merges)
    names, parts = divided(names, splits)
    ours |= parts
    extras: list[str] = []
    for name, value in names.items():
        found = next(((m, to) for pattern, to in rules if (m := re.fullmatch(pattern, name))), None)
        if found is None:
            ours[name] = value
        elif found[1] is None:
            extras.append(name)
        else:
            ours[found[0].expand(found[1])] = value
    ours = reordered(ours, orders)
    for pattern, change in changes:
        ours |= {name: change(value) for name, value in ours.items() if re.fullmatch(pattern, name)}
    return ours, extras


def joined(state: Mapping[str, Tensor], merges: Merges) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the tensors that belong to no complete merge, and the joined ones by our names."""
    left, whole = dict(state), dict[str, Tensor]()
    for patterns, to, how in merges:
        places: dict[str, dict[int, str]] = {}
        for place, pattern in enumerate(patterns):
            for name in state:
                if found := re.fullmatch(pattern, name):
                    places.setdefault(found.expand(to), {})[place] = name
        for ours, names in places.items():
            if len(names) == len(patterns):
                whole[ours] = _join([left.pop(names[place]) for place in sorted(names)], how)
    return left, whole


def _join(tensors: Sequence[Tensor], how: str) -> Tensor:
    if how == "sum":
        return torch.stack(list(tensors)).sum(0)
    return torch.cat(list(tensors), {"rows": 0, "columns": 1}[how])


def divided(state: Mapping[str, Tensor], splits: Splits) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the tensors that no split takes, and the parts of the others by our names.

    A tensor keeps its name if the shares do not divide its rows.
    """
    left, parts = dict(state), dict[str, Tensor]()
    for pattern, to, shares in splits:
        for name, value in state.items():
            found = re.fullmatch(pattern, name)
            if found is None or value.shape[0] % sum(shares):
                continue
            rows = [share * value.shape[0] // sum(shares) for share in shares]
            parts |= {found.expand(one): part for one, part in zip(to, left.pop(name).split(rows), strict=True)}
    return left, parts


def reordered(state: Mapping[str, Tensor], orders: Orders) -> dict[str, Tensor]:
    """Return the tensors with input channels in our order, where another program concatenates maps in another one.

    The channels of a convolution are divided into equal blocks, and taken in the order given. If they cannot be, the
    tensor is left out, so that it counts as missing.
    """
    found = dict(state)
    for pattern, order in orders:
        for name in [name for name in found if re.fullmatch(pattern, name)]:
            blocks = found.pop(name).tensor_split(len(order), 1)
            if len({block.shape[1] for block in blocks}) == 1:
                found[name] = torch.cat([blocks[place] for place in order], 1)
    return found
