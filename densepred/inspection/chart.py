"""Counts of a dataset per class, keypoint and split: pixels, objects, labelled keypoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from densepred.inspection.facts import Facts
from densepred.types import Info

PIXELS, OBJECTS, KEYPOINTS, VISIBLE = "pixels", "objects", "keypoints", "visible_keypoints"
OF_MAPS = ("semantic", "instance_components")
"""Tasks that learn the class of each pixel."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Counts of one kind. `counts` and `totals` have one entry per split; shares are counts divided by the total.

    of: "pixels" and "objects" of each class, or the instances in which each of the "keypoints" is labelled; those in
        which it is visible ("visible_keypoints") if some are labelled as hidden
    colours: numbers of the entries in the palette of the dataset
    """

    of: str
    names: tuple[str, ...]
    counts: dict[str, list[int]]
    totals: dict[str, int]
    colours: tuple[int, ...] = ()

    def shares(self, split: str) -> list[float]:
        return [count / self.totals[split] for count in self.counts[split]]

    def to_json(self) -> dict[str, Any]:
        out = asdict(self)
        del out["colours"]
        return out


def charts(info: Info, facts: Mapping[str, Sequence[Facts]], task: str | None) -> list[Chart]:
    """Return the charts that have a meaning for the data, and for the task if one is typed.

    Objects are counted where classes are things, and pixels where any but the background are none.
    """
    found = [_keypoints(info, facts, KEYPOINTS)] if info.keypoints else []
    if any(one.objects.visible != one.objects.keypoints for rows in facts.values() for one in rows):
        found.append(_keypoints(info, facts, VISIBLE))
    counted = any(one.objects.classes for rows in facts.values() for one in rows)
    if counted and task not in OF_MAPS:
        found.append(_objects(info, facts))
    if not counted or task in OF_MAPS or len(info.classes) > len(info.things) + 1:
        found.append(_pixels(info, facts))
    return [chart for chart in found if chart.totals]


def pixels(found: Sequence[Facts], classes: int) -> torch.Tensor:
    """Return the pixels of each class in each image with a class map, (N, K) int64."""
    rows = [one.pixels for one in found if one.void is not None and one.error is None]
    return torch.tensor(rows, dtype=torch.int64).reshape(len(rows), classes)


def _pixels(info: Info, facts: Mapping[str, Sequence[Facts]]) -> Chart:
    counts = {
        split: [*pixels(rows, len(info.classes)).sum(0).tolist(), sum(one.void or 0 for one in rows)]
        for split, rows in facts.items()
    }
    totals = {split: sum(row) for split, row in counts.items()}
    return _chart(PIXELS, (*info.classes, "void"), counts, totals, tuple(range(len(info.classes))))


def _objects(info: Info, facts: Mapping[str, Sequence[Facts]]) -> Chart:
    things = sorted(info.things)
    counts = {split: [_sum(rows, "classes", label) for label in things] for split, rows in facts.items()}
    totals = {split: sum(row) for split, row in counts.items()}
    return _chart(OBJECTS, tuple(info.classes[label] for label in things), counts, totals, tuple(things))


def _keypoints(info: Info, facts: Mapping[str, Sequence[Facts]], of: str) -> Chart:
    places, name = range(len(info.keypoints)), "visible" if of == VISIBLE else "keypoints"
    counts = {split: [_sum(rows, name, place) for place in places] for split, rows in facts.items()}
    return _chart(of, info.keypoints, counts, {s: sum(one.objects.posed for one in rows) for s, rows in facts.items()})


def _sum(rows: Sequence[Facts], name: str, place: int) -> int:
    return sum(values[place] for one in rows if (values := getattr(one.objects, name)))


def _chart(
    of: str,
    names: tuple[str, ...],
    counts: dict[str, list[int]],
    totals: dict[str, int],
    colours: tuple[int, ...] = (),
) -> Chart:
    """Return a chart of the splits that hold something."""
    kept = {split: total for split, total in totals.items() if total}
    return Chart(of, names, {split: counts[split] for split in kept}, kept, colours)
