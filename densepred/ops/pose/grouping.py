"""Grouping of candidates of joints into people by the affinity fields between them (OpenPose, arXiv 1611.08050).

J candidates, K kinds of joints, L limbs, P pairs of candidates that a limb may join, N people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from densepred.ops.heatmap.candidates import Candidates
from densepred.ops.pose.fields import line_integrals

SURE = 0.1  # weight of the scores of both joints when limbs are ranked; that of the limb weighs 1
CLOSE = 150  # joints nearer than the root of the map's area over this are joined without a field


@dataclass(frozen=True, slots=True)
class Rules:
    """Thresholds of the authors' program; `GENEROUS` are those of its `--maximize_positives`."""

    peak: float = 0.05  # least heat of a joint
    dot: float = 0.05  # least dot product of field and limb in a sample
    ratio: float = 0.95  # share of the samples of a limb that must exceed it
    parts: int = 3  # least joints of a person
    score: float = 0.4  # least score of a person, per joint


GENEROUS = Rules(0.02, 0.01, 0.75, 2, 0.05)


class Connections(NamedTuple):
    """Pairs of candidates that a limb joins, best first."""

    first: Tensor  # (P,) int64, index of a candidate
    second: Tensor  # (P,) int64
    scores: Tensor  # (P,) float32


class People(NamedTuple):
    """Groups of candidates, best first."""

    members: Tensor  # (N, K) int64, the candidate of each joint, -1 if missing
    scores: Tensor  # (N,) float32, the sum over joints and limbs divided by their number in a complete person


def group(candidates: Candidates, paf: Tensor, limbs: Tensor, kinds: int, stride: float, rules: Rules) -> People:
    """Group the candidates of one image into people of `kinds` candidates.

    paf: (2 L, h, w)
    limbs: (L, 2) int64, pairs of joints; they may form a tree or have loops.
    stride: input pixels per location.
    """
    return assemble(candidates, connect(candidates, paf, limbs, kinds, stride, rules), kinds, len(limbs), rules)


def connect(candidates: Candidates, paf: Tensor, limbs: Tensor, kinds: int, stride: float, rules: Rules) -> Connections:
    """Return every pair of candidates with a field that leads from one to the other."""
    first, second, limb = pairs(candidates.kinds, limbs, kinds)
    starts, ends = candidates.points[first], candidates.points[second]
    scores = line_integrals(paf, starts, ends, limb, stride, rules.dot, rules.ratio)
    near = (paf.shape[-2] * paf.shape[-1]) ** 0.5 / CLOSE
    close = (ends - starts).norm(dim=1) < near
    scores = torch.where(close & (scores == 0), rules.peak, scores)  # a limb seen end-on has no field
    kept = (scores > 0).nonzero()[:, 0]
    first, second, scores = first[kept], second[kept], scores[kept]
    ranks = scores + SURE * (candidates.scores[first] + candidates.scores[second])
    order = ranks.argsort(descending=True, stable=True)
    return Connections(first[order], second[order], scores[order])


def pairs(kind: Tensor, limbs: Tensor, kinds: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return all pairs that the kinds (J,) of sorted candidates allow: first, second and limb, (P,) int64 each."""
    counts = torch.bincount(kind, minlength=kinds)
    begins = counts.cumsum(0) - counts
    firsts, seconds = counts[limbs[:, 0]], counts[limbs[:, 1]]
    total = firsts * seconds
    limb = torch.repeat_interleave(total)
    inner = torch.arange(len(limb), device=kind.device) - (total.cumsum(0) - total)[limb]
    first = begins[limbs[limb, 0]] + inner // seconds[limb]
    second = begins[limbs[limb, 1]] + inner % seconds[limb]
    return first, second, limb


def assemble(candidates: Candidates, connections: Connections, kinds: int, limbs: int, rules: Rules) -> People:
    """Visit connections by falling score: each starts, extends or merges people, as the authors' program does on a GPU.

    A limb that closes a loop adds its score. A limb that would give a person a second joint of a kind is skipped.
    """
    kind, sure = candidates.kinds.tolist(), candidates.scores.tolist()
    owner: dict[int, int] = {}
    people: dict[int, dict[int, int]] = {}  # the candidate of each kind
    scores: dict[int, float] = {}
    for a, b, score in zip(*(part.tolist() for part in connections), strict=True):
        one, two = owner.get(a, -1), owner.get(b, -1)
        if one < 0 and two < 0:
            person = len(owner)  # owners are never removed, so this number is new
            people[person], scores[person] = {kind[a]: a, kind[b]: b}, sure[a] + sure[b] + score
            owner[a] = owner[b] = person
        elif one < 0 or two < 0:
            person, new = (two, a) if one < 0 else (one, b)
            if kind[new] not in people[person]:
                people[person][kind[new]] = new
                scores[person] += sure[new] + score
                owner[new] = person
        elif one == two:
            scores[one] += score
        elif not people[one].keys() & people[two].keys():
            one, two = min(one, two), max(one, two)
            owner.update(dict.fromkeys(people[two].values(), one))
            people[one].update(people.pop(two))
            scores[one] += scores.pop(two) + score
    least = min(rules.parts, kinds)
    kept = [p for p, found in people.items() if len(found) >= least and scores[p] >= rules.score * len(found)]
    members = torch.full((len(kept), kinds), -1)
    for row, person in enumerate(kept):
        for one, candidate in people[person].items():
            members[row, one] = candidate
    device = candidates.points.device
    means = torch.tensor([scores[p] / (kinds + limbs) for p in kept], dtype=torch.float32)
    order = means.argsort(descending=True, stable=True)
    return People(members[order].to(device), means[order].to(device))
