"""Keypoints that swap in a mirror image: left and right."""

from __future__ import annotations

from collections.abc import Iterable


def mirror_order(pairs: Iterable[tuple[int, int]], count: int) -> tuple[int, ...]:
    """Return the keypoint, of `count`, that each one becomes in a mirror image, from the pairs that swap.

    >>> mirror_order([(1, 2)], 4)
    (0, 2, 1, 3)
    """
    other = {one: partner for left, right in pairs for one, partner in ((left, right), (right, left))}
    return tuple(other.get(index, index) for index in range(count))
