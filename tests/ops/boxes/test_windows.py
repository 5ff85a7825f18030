"""Boxes of two windows, merged to those of the image."""

from __future__ import annotations

import torch

from densepred.ops.boxes import windows


def merged(boxes: list[list[float]], owner: list[int], kinds: list[int] | None = None) -> list[int]:
    """Merge boxes of two windows of 20 x 20 that begin at 0 and 10 in an image of 20 x 30."""
    views = torch.tensor([[-0.5, -0.5, 19.5, 19.5], [9.5, -0.5, 29.5, 19.5]])
    categories = torch.tensor(kinds or [0] * len(boxes))
    return windows.merge(torch.tensor(boxes), categories, views, torch.tensor(owner), (20, 30)).tolist()


def test_of_two_boxes_of_an_object_the_one_farther_from_the_border_stays() -> None:
    assert merged([[11.0, 5, 16, 9], [11.5, 5, 16, 9]], [0, 1]) == [0]
    assert merged([[14.0, 5, 18, 9], [14.5, 5, 18, 9]], [0, 1]) == [1]
    assert merged([[11.0, 5, 16, 9], [11.5, 5, 16, 9]], [0, 1], [0, 1]) == [0, 1]


def test_neighbours_that_both_windows_see_are_paired_one_to_one() -> None:
    pair = [[12.0, 4, 18, 10], [12.0, 6, 18, 12]]  # they overlap by half
    assert merged([*pair, *pair], [0, 0, 1, 1]) in ([0, 1], [2, 3])


def test_a_part_of_a_whole_object_is_dropped_and_a_neighbour_of_its_size_stays() -> None:
    assert merged([[12.0, 5, 19.5, 9], [12.0, 5, 28, 9]], [0, 1]) == [1]
    assert merged([[12.0, 5, 17, 9], [12.0, 5, 28, 9]], [0, 1]) == [0, 1]
