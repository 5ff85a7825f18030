"""Objects by their size, against a slow flood fill."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from densepred.ops.score.object_size import count_by_size
from densepred.types import VOID


def slow(labels: np.ndarray, right: np.ndarray, known: np.ndarray, edges: list[float], first: int) -> np.ndarray:
    """Fill each object from its first pixel on, by its eight neighbours."""
    table, seen = np.zeros((len(edges) + 1, 4), int), np.zeros(labels.shape, bool)
    for start in np.ndindex(labels.shape):
        if seen[start] or labels[start] == VOID or labels[start] < first:
            continue
        seen[start], stack, pixels = True, [start], []
        while stack:
            y, x = stack.pop()
            pixels.append((y, x))
            for near in ((y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
                inside = 0 <= near[0] < labels.shape[0] and 0 <= near[1] < labels.shape[1]
                if inside and not seen[near] and labels[near] == labels[start]:
                    seen[near] = True
                    stack.append(near)
        usable = sum(known[p] for p in pixels)
        hit = sum(known[p] and right[p] for p in pixels)
        if usable:
            row = sum(math.sqrt(len(pixels)) >= edge for edge in edges)
            table[row] += [1, 2 * hit >= usable, usable, hit]
    return table


@pytest.mark.parametrize("first", [0, 1])
def test_counts_equal_those_of_a_flood_fill(first: int) -> None:
    generator = torch.Generator().manual_seed(3)
    coarse = torch.randint(0, 4, (9, 11), generator=generator, dtype=torch.uint8)
    labels = coarse.repeat_interleave(3, 0).repeat_interleave(2, 1)
    labels[torch.rand(labels.shape, generator=generator) < 0.1] = VOID
    right = torch.rand(labels.shape, generator=generator) < 0.5
    known = torch.rand(labels.shape, generator=generator) < 0.8
    edges = [2.0, 3.0, 6.0]
    found = count_by_size(labels, right, known, edges, first)
    assert found.tolist() == slow(labels.numpy(), right.numpy(), known.numpy(), edges, first).tolist()
    assert (found[:, 0] > 0).all()


def test_an_edge_belongs_to_the_larger_objects() -> None:
    labels = torch.zeros(6, 6, dtype=torch.uint8)
    labels[1:4, 1:4] = 1  # side 3
    all_of_it = torch.ones(6, 6, dtype=torch.bool)
    assert count_by_size(labels, all_of_it, all_of_it, [3], 1)[:, 0].tolist() == [0, 1]
    assert count_by_size(labels, all_of_it, all_of_it, [3.1], 1)[:, 0].tolist() == [1, 0]
