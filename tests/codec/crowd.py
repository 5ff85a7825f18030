"""Drawn crowds for the tests of OpenPose's codec."""

from __future__ import annotations

import numpy as np
import torch

from densepred.dataset import stick_figure
from densepred.types import Annotation, Info

COCO = (
    "nose",
    *(f"{side}_{part}" for part in ("eye", "ear", "shoulder", "elbow", "wrist") for side in ("left", "right")),
    *(f"{side}_{part}" for part in ("hip", "knee", "ankle") for side in ("left", "right")),
)
COCO_LIMBS = tuple(
    (a - 1, b - 1)
    for a, b in (
        *((16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9)),
        *((8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7)),
    )
)
MIRRORED = tuple((i, i + 1) for i in range(1, 17, 2))
PERSON = Info(keypoints=COCO, limbs=COCO_LIMBS, mirrored=MIRRORED, provides=("keypoints",))
FIGURE = Info(
    keypoints=stick_figure.KEYPOINTS,
    limbs=stick_figure.LIMBS,
    mirrored=stick_figure.MIRRORED,
    provides=("keypoints", "instances"),
)

# A person of height 1 that faces us, hip at the origin: x, y of COCO's 17.
_BODY = np.array(
    [
        *((0.0, -0.52), (0.035, -0.555), (-0.035, -0.555), (0.08, -0.54), (-0.08, -0.54)),
        *((0.11, -0.38), (-0.11, -0.38), (0.17, -0.2), (-0.17, -0.2), (0.19, -0.03), (-0.19, -0.03)),
        *((0.07, 0.0), (-0.07, 0.0), (0.085, 0.22), (-0.085, 0.22), (0.09, 0.45), (-0.09, 0.45)),
    ]
)


def person(random: np.random.Generator, x: float, y: float, height: float) -> np.ndarray:
    """(17, 2): leaning and with limbs a little at random."""
    lean = np.radians(random.uniform(-15, 15))
    turn = np.array([[np.cos(lean), -np.sin(lean)], [np.sin(lean), np.cos(lean)]])
    return (_BODY + random.uniform(-0.012, 0.012, _BODY.shape)) @ turn.T * height + (x, y)


def crowd(
    info: Info,
    seed: int,
    size: tuple[int, int] = (368, 656),
    people: int = 20,
    height: tuple[float, float] = (110, 220),
    apart: float = 24.0,
    crossing: bool = False,
) -> Annotation:
    """Draw `people` within the image, with joints of one kind at least `apart` pixels from each other.

    Limbs of one kind keep the same distance, unless they may be `crossing`: then fields can be ambiguous.
    """
    random, kept = np.random.default_rng(seed), []
    draw = person if info is PERSON else stick_figure.pose
    for _ in range(60 * people):
        if len(kept) == people:
            break
        new = draw(random, random.uniform(0, size[1]), random.uniform(0, size[0]), random.uniform(*height))
        inside = (new >= 0).all() and (new <= (size[1] - 1, size[0] - 1)).all()
        if inside and all(_gap(info, new, old, crossing) >= apart for old in kept):
            kept.append(new)
    points = torch.tensor(np.array(kept), dtype=torch.float32).view(-1, len(info.keypoints), 2)
    return Annotation(size, keypoints=torch.cat([points, torch.full((*points.shape[:2], 1), 2.0)], -1))


def _gap(info: Info, one: np.ndarray, two: np.ndarray, crossing: bool) -> float:
    """The least distance of two people's joints of one kind, or of the limbs that these are the ends of."""
    if crossing:
        return np.linalg.norm(one - two, axis=1).min()
    (a, b), along = np.array(info.limbs).T, np.linspace(0, 1, 12)[:, None, None]
    p, q = (person[a] + (person[b] - person[a]) * along for person in (one, two))  # (12, L, 2)
    return np.linalg.norm(p[:, None] - q[None], axis=-1).min()
