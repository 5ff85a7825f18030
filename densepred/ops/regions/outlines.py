"""Outlines of a mask along the edges of its pixels."""

from __future__ import annotations

import numpy as np

Edge = tuple[int, int, int]
"""x and y of its first corner, and its move."""
MOVES = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Steps to the right, down, left and up; each is a right turn from the one before."""


def outlines(mask: np.ndarray) -> list[tuple[np.ndarray, bool]]:
    """Return the corners of each outline, (N, 2) int64 of x and y, and True for that of a hole.

    Pixel (x, y) lies between the corners (x, y) and (x + 1, y + 1). Pixels that touch at a corner alone are apart, so
    there is an outer outline for each piece of 4-connected pixels.

    mask: (H, W) bool
    """
    inside = np.pad(mask, 1)
    centers = inside[1:-1, 1:-1]
    starts = [  # of the edges in the direction of each move, with the mask on their right
        np.argwhere(centers & ~inside[:-2, 1:-1]),
        np.argwhere(centers & ~inside[1:-1, 2:]) + (0, 1),
        np.argwhere(centers & ~inside[2:, 1:-1]) + (1, 1),
        np.argwhere(centers & ~inside[1:-1, :-2]) + (1, 0),
    ]
    left = {(x, y, move) for move, places in enumerate(starts) for y, x in places.tolist()}
    found = []
    for top, start in starts[0].tolist():
        if (start, top, 0) not in left:  # part of an outline that was found
            continue
        points = np.array(_loop((start, top, 0), left), np.int64)
        x, y = points.T
        found.append((points, bool((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() < 0)))
    return found


def _loop(first: Edge, left: set[Edge]) -> list[tuple[int, int]]:
    """Follow the edges from the first one, and remove them; return the corners at which they turn."""
    edge, corners = first, list[tuple[int, int]]()
    while True:
        x, y, move = edge
        x, y = x + MOVES[move][0], y + MOVES[move][1]
        edge = next((x, y, one) for one in ((move + 1) % 4, move, (move + 3) % 4) if (x, y, one) in left)
        left.remove(edge)
        if edge[2] != move:
            corners.append((x, y))
        if edge == first:
            return corners
