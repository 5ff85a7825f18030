"""Shares and errors of joints by the words of their definitions, a joint at a time."""

from __future__ import annotations

import math

Person = list[tuple[float, float, float]]


def mates(found: list[Person], truth: list[Person]) -> list[int]:
    """Match predicted people to labelled people, the nearest pair first; -1 where unmatched."""
    costs = {(t, p): cost(person, other) for t, person in enumerate(truth) for p, other in enumerate(found)}
    result = [-1] * len(truth)
    while costs:
        t, p = min(costs, key=lambda pair: costs[pair])
        if costs[t, p] >= 1:
            break
        result[t] = p
        costs = {pair: value for pair, value in costs.items() if pair[0] != t and pair[1] != p}
    return result


def cost(person: Person, found: Person) -> float:
    joints = [i for i, (_, _, seen) in enumerate(person) if seen > 0]
    x, y = [person[i][0] for i in joints], [person[i][1] for i in joints]
    size = max(max(x) - min(x), max(y) - min(y), 1)
    each = [min(1, distance(person[i], found[i]) / size) if found[i][2] > 0 else 1 for i in joints]
    return sum(each) / len(each)


def distance(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    return math.hypot(one[0] - other[0], one[1] - other[1])


def share(pairs: list[tuple[Person, Person | None]], limits: list[float | None], joints: list[int]) -> float | None:
    """Return the share of labelled joints of these kinds within the limit of their person."""
    hit = labelled = 0
    for (person, found), limit in zip(pairs, limits, strict=True):
        for i in joints:
            if person[i][2] > 0 and limit is not None:
                labelled += 1
                near = found is not None and found[i][2] > 0 and distance(person[i], found[i]) <= limit
                hit += near
    return hit / labelled if labelled else None


def area(pairs: list[tuple[Person, Person | None]], limits: list[float | None], steps: int = 20000) -> float | None:
    """The mean of the share over limits from nothing up: by the middles of many steps."""
    kinds = list(range(len(pairs[0][0])))
    shares = [
        share(pairs, [None if limit is None else limit * (i + 0.5) / steps for limit in limits], kinds)
        for i in range(steps)
    ]
    known = [value for value in shares if value is not None]
    return sum(known) / len(known) if known else None


def error(pairs: list[tuple[Person, Person | None]], joints: list[int]) -> float | None:
    each = [
        distance(person[i], found[i])
        for person, found in pairs
        for i in joints
        if found is not None and person[i][2] > 0 and found[i][2] > 0
    ]
    return sum(each) / len(each) if each else None
