"""Stick figure of `shapes.py`: its joints, its limbs and a random pose."""

from __future__ import annotations

import numpy as np

from densepred.dataset.scene import Array, Form, strokes

KEYPOINTS = (
    "head",
    "neck",
    "hip",
    "left_elbow",
    "left_hand",
    "right_elbow",
    "right_hand",
    "left_knee",
    "left_foot",
    "right_knee",
    "right_foot",
)
LIMBS = ((0, 1), (1, 2), (1, 3), (3, 4), (1, 5), (5, 6), (2, 7), (7, 8), (2, 9), (9, 10))
MIRRORED = ((3, 5), (4, 6), (7, 9), (8, 10))
SIGMAS = (0.05,) * len(KEYPOINTS)

# Parent, joint, distance in heights, angle from straight down and its range, in degrees.
# The figure faces the viewer, so its left is on the right of the image.
_JOINTS = (
    (2, 1, 0.35, 180, 8),
    (1, 0, 0.17, 180, 10),
    (1, 3, 0.17, -60, 35),
    (3, 4, 0.17, -60, 60),
    (1, 5, 0.17, 60, 35),
    (5, 6, 0.17, 60, 60),
    (2, 7, 0.22, -20, 18),
    (7, 8, 0.22, -12, 18),
    (2, 9, 0.22, 20, 18),
    (9, 10, 0.22, 12, 18),
)


def pose(random: np.random.Generator, x: float, y: float, height: float) -> Array:
    """Draw the joints (11, 2) of a figure of `height` with its hip at (x, y)."""
    joints = np.zeros((len(KEYPOINTS), 2), np.float32)
    joints[2] = x, y
    lean = random.uniform(-12, 12)
    for (parent, child, length, mean, spread), u in zip(_JOINTS, random.uniform(-1, 1, len(_JOINTS)), strict=True):
        angle = np.radians(mean + lean + u * spread)
        joints[child] = joints[parent] + length * height * np.array([-np.sin(angle), np.cos(angle)])
    return joints


def form(joints: Array, height: float, width: float) -> Form:
    """Return limbs of `width` and a round head."""
    starts = np.concatenate((joints[[a for a, _ in LIMBS]], joints[:1]))
    ends = np.concatenate((joints[[b for _, b in LIMBS]], joints[:1]))
    radii = np.full(len(starts), width / 2, np.float32)
    radii[-1] = max(0.09 * height, width / 2)
    return strokes(starts, ends, radii)
