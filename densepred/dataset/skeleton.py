"""Keypoints of a category in COCO's JSON: names, limbs, left-right pairs, sigmas."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from densepred.dataset.coco import Id, Record
from densepred.dataset.coco_fields import numbers
from densepred.dataset.facts import counted
from densepred.dataset.sides import sides
from densepred.errors import Notice, UserError, shown

COCO = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
_SIGMAS = (0.026, *[0.025] * 2, *[0.035] * 2, *[0.079] * 2, *[0.072] * 2, *[0.062] * 2, *[0.107] * 2, *[0.087] * 2)
COCO_SIGMAS = (*_SIGMAS, 0.089, 0.089)
"""Standard deviations of COCO's annotators, in the order of the names above. Source: pycocotools."""

Pairs = tuple[tuple[int, int], ...]
MOST = 512  # keypoints of one instance
SHOWN = 12  # names or pairs in a message


def choose(categories: Mapping[Id, Record], wanted: str | None, path: Path) -> dict[Id, Record]:
    """Return the categories that have keypoints, or only the one that is wanted.

    Raises UserError if there is none, or if their keypoints differ.
    """
    found = {id: record for id, record in categories.items() if record.get("keypoints")}
    if wanted is not None:
        found = {id: record for id, record in found.items() if record["name"] == wanted}
    names = ", ".join(shown(record["name"]) for record in categories.values())
    if not found:
        if wanted is None:
            fact = f"no category lists keypoints (categories: {names[:100]})"
            raise UserError(f'{path}: {fact}; add their names to it, such as "keypoints": ["nose", "tail"]')
        fact = f"no category {wanted!r} has keypoints (categories: {names[:100]})"
        raise UserError(f"{path}: {fact}; check dataset.category")
    if any(record["keypoints"] != next(iter(found.values()))["keypoints"] for record in found.values()):
        raise UserError(f"{path}: categories have different keypoints; choose one by dataset.category")
    return found


def keypoints(record: Record, path: Path) -> tuple[str, ...]:
    """Return the names of the keypoints, or raise UserError if they are not distinct."""
    names = record["keypoints"]
    good = isinstance(names, list) and len(names) <= MOST and all(isinstance(name, str) and name for name in names)
    if not good or len(set(names)) < len(names):
        raise UserError(f"{path}: the keypoints of {shown(record['name'])} are {shown(names)}; give different names")
    return tuple(names)


def limbs(record: Record, count: int, path: Path) -> Pairs:
    """Return the pairs of the skeleton, counted from 0 here and from 1 in the file; () if it is absent.

    Files that count from 0 are read as such, and a skeleton of more than `count` keypoints is left out, both with a
    notice. Raises UserError for what is no list of pairs.
    """
    value, what = record.get("skeleton") or [], f"{path}: the skeleton of {shown(record['name'])}"
    for pair in value if isinstance(value, list) else [value]:
        whole = isinstance(pair, list) and len(pair) == 2 and all(map(_whole, pair))
        if not whole or pair[0] == pair[1]:
            raise UserError(f"{what} has {shown(pair)}; give pairs of numbers from 1 to {count}")
    ends = [end for pair in value for end in pair]
    first = min(1, *ends) if ends else 1
    if first < 0 or max(ends, default=1) >= count + first:
        text = f"{what} has numbers from {min(ends)} to {max(ends)}, but there are {count} keypoints: no limbs are read"
        warnings.warn(f"{text}; correct it for drawings and task=openpose", Notice, stacklevel=1)
        return ()
    if first == 0:
        warnings.warn(f"{what} has the number 0, so it is counted from 0, not from 1", Notice, stacklevel=1)
    return tuple((one - first, other - first) for one, other in value)


def mirrored(record: Record, names: Sequence[str], path: Path) -> Pairs | None:
    """Return the pairs that trade places in a flip: by `flip_indices`, else guessed from the names, with a notice.

    None stands for names that have sides without partners: such keypoints must not be mirrored.
    """
    value = record.get("flip_indices")
    if value is None:
        return _guessed(f"dataset: keypoints of {shown(record['name'])}", names)
    if not (isinstance(value, list) and all(map(_whole, value)) and sorted(value) == list(range(len(names)))):
        raise UserError(
            f"{path}: the flip_indices of {shown(record['name'])} are {shown(value)}; give for each of the "
            f"{counted(len(names), 'keypoints')} the number, from 0, of its mirror image"
        )
    if any(value[partner] != index for index, partner in enumerate(value)):
        raise UserError(f"{path}: the flip_indices of {shown(record['name'])} do not go in pairs; correct them")
    return tuple((index, partner) for index, partner in enumerate(value) if index < partner)


def _guessed(what: str, names: Sequence[str]) -> Pairs | None:
    pairs, alone = sides(names)
    if alone:
        warnings.warn(
            f"{what}: {_listed([names[i] for i in alone])} have a side in the name and no partner, so images are not "
            "mirrored; give the category flip_indices in the JSON file, for each keypoint the number, from 0, of its "
            "mirror image",
            Notice,
            stacklevel=1,
        )
        return None
    if tuple(names) == COCO or len(names) < 2:
        return pairs
    found = _listed([f"{names[a]} - {names[b]}" for a, b in pairs]) if pairs else "none, for no name has a side"
    warnings.warn(
        f"{what}: pairs that swap in mirror images, guessed from the names: {found}; flip_indices in the JSON file "
        "would set them",
        Notice,
        stacklevel=1,
    )
    return pairs


def _listed(found: Sequence[str]) -> str:
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(shown(one)[1:-1] for one in found[:SHOWN]) + more


def sigmas(record: Record, names: Sequence[str], path: Path) -> tuple[float, ...]:
    """Return COCO's sigmas for its 17 keypoints, else those of the file, else ().

    A metric replaces () by placeholders, with a notice.
    """
    if tuple(names) == COCO:
        return COCO_SIGMAS
    if record.get("sigmas") is None:
        return ()
    values = numbers(record["sigmas"], f"{path}: category {shown(record['name'])}", "sigmas", 0, 10)
    if len(values) != len(names) or min(values, default=1) == 0:
        raise UserError(
            f"{path}: category {shown(record['name'])} has {counted(len(values), 'sigmas')} for "
            f"{counted(len(names), 'keypoints')}; give one above 0 for each, or none"
        )
    return tuple(values)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
