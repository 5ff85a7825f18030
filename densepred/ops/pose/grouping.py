"""People put together from candidates of joints and the fields between them.

J candidates, L limbs, P pairs of candidates that a limb may join, N people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from densepred.ops.heatmap.candidates import Candidates
from densepred.ops.pose.fields import integrals

SURE = 0.1  # how much the scores of two joints count beside that of the limb when limbs are ranked
CLOSE = 150  # joints nearer than this part of the root of the image's area are joined whatever the field says


@dataclass(frozen=True, slots=True)
class Rules:
    """The thresholds of the authors' program; the second set is its `--maximize_positives`."""

    peak: float = 0.05  # of a heat map, for a joint
    dot: float = 0.05  # of a field along a limb
    ratio: float = 0.95  # of the samples on a limb that must reach it
    parts: int = 3  # of a person
    score: float = 0.4  # of a person, a joint


GENEROUS = Rules(0.02, 0.01, 0.75, 2, 0.05)


class Connections(NamedTuple):
    """Pairs that a limb joins, best first."""

    first: Tensor  # (P,) int64, candidates
    second: Tensor  # (P,) int64
    scores: Tensor  # (P,) float32


class People(NamedTuple):
    """Which candidate is which joint of whom, -1 where a joint was not found."""

    members: Tensor  # (N, K) int64
    scores: Tensor  # (N,) float32: of all joints and limbs, divided by their number when all are found


def group(joints: Candidates, paf: Tensor, limbs: Tensor, kinds: int, stride: float, rules: Rules) -> People:
    """People of `kinds` joints from the candidates of one image; limbs (L, 2) are pairs of joints, a tree or not."""
    return assemble(joints, connect(joints, paf, limbs, kinds, stride, rules), kinds, len(limbs), rules)


def connect(joints: Candidates, paf: Tensor, limbs: Tensor, kinds: int, stride: float, rules: Rules) -> Connections:
    """Every pair of candidates that a limb's field leads between."""
    first, second, limb = pairs(joints.kinds, limbs, kinds)
    starts, ends = joints.points[first], joints.points[second]
    scores = integrals(paf, starts, ends, limb, stride, rules.dot, rules.ratio)
    near = (paf.shape[-2] * paf.shape[-1]) ** 0.5 / CLOSE
    close = (ends - starts).norm(dim=1) < near
    scores = torch.where(close & (scores == 0), rules.peak, scores)  # a limb seen end-on has no field
    kept = (scores > 0).nonzero()[:, 0]
    first, second, scores = first[kept], second[kept], scores[kept]
    order = (scores + SURE * (joints.scores[first] + joints.scores[second])).argsort(descending=True, stable=True)
    return Connections(first[order], second[order], scores[order])


def pairs(candidates: Tensor, limbs: Tensor, kinds: int) -> tuple[Tensor, Tensor, Tensor]:
    """All (first, second, limb) that the kinds (J,) of sorted candidates allow, each (P,)."""
    counts = torch.bincount(candidates, minlength=kinds)
    begins = counts.cumsum(0) - counts
    firsts, seconds = counts[limbs[:, 0]], counts[limbs[:, 1]]
    total = firsts * seconds
    limb = torch.repeat_interleave(total)
    inner = torch.arange(len(limb), device=candidates.device) - (total.cumsum(0) - total)[limb]
    first = begins[limbs[limb, 0]] + inner // seconds[limb]
    second = begins[limbs[limb, 1]] + inner % seconds[limb]
    return first, second, limb


def assemble(joints: Candidates, connections: Connections, kinds: int, limbs: int, rules: Rules) -> People:
    """Take connections by falling score: begin, extend or merge people, none with two joints of a kind.

    As the authors' program does on a GPU. A limb that closes a loop adds its score; one that would give a person a
    second joint of a kind is left out.
    """
    kind, sure = joints.kinds.tolist(), joints.scores.tolist()
    owner: dict[int, int] = {}
    people: dict[int, dict[int, int]] = {}  # the candidate of each kind
    scores: dict[int, float] = {}
    for a, b, score in zip(*(part.tolist() for part in connections), strict=True):
        one, two = owner.get(a), owner.get(b)
        if one is None and two is None:
            person = len(owner)  # as many have an owner as were ever given one: a fresh number
            people[person], scores[person] = {kind[a]: a, kind[b]: b}, sure[a] + sure[b] + score
            owner[a] = owner[b] = person
        elif one is None or two is None:
            person, new = (two, a) if one is None else (one, b)
            assert person is not None
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
    device = joints.points.device
    means = torch.tensor([scores[p] / (kinds + limbs) for p in kept], dtype=torch.float32)
    order = means.argsort(descending=True, stable=True)
    return People(members[order].to(device), means[order].to(device))
