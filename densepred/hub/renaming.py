"""Renaming of published tensors by patterns, and the joining of those that stand apart in the file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

Rules = Sequence[tuple[str, str | None]]
Merges = Sequence[tuple[tuple[str, ...], str]]

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
    (
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
    return tuple((tuple(theirs + pattern for pattern in patterns), ours + to) for patterns, to in merges)


def rename(state: Mapping[str, Tensor], rules: Rules, merges: Merges = ()) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors under our names, and the names of those that no model needs.

    The first pattern that matches a whole name renames it; tensors without a rule keep their names. A merge joins the
    tensors of its patterns along their first dimension, in the order of the patterns, once all of them are there.
    """
    names, ours = joined(state, merges)
    extras: list[str] = []
    for name, value in names.items():
        found = next(((m, to) for pattern, to in rules if (m := re.fullmatch(pattern, name))), None)
        if found is None:
            ours[name] = value
        elif found[1] is None:
            extras.append(name)
        else:
            ours[found[0].expand(found[1])] = value
    return ours, extras


def joined(state: Mapping[str, Tensor], merges: Merges) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the tensors that belong to no complete merge, and the joined ones by our names."""
    parts: dict[str, dict[int, str]] = {}
    for patterns, to in merges:
        for place, pattern in enumerate(patterns):
            for name in state:
                if found := re.fullmatch(pattern, name):
                    parts.setdefault(found.expand(to), {})[place] = name
    lengths = {len(patterns) for patterns, _ in merges}
    whole = {to: [names[i] for i in sorted(names)] for to, names in parts.items() if len(names) in lengths}
    used = {name for names in whole.values() for name in names}
    left = {name: value for name, value in state.items() if name not in used}
    return left, {to: torch.cat([state[name] for name in names]) for to, names in whole.items()}
