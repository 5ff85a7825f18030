"""The picture of a confusion matrix: chosen pixels."""

from __future__ import annotations

import numpy as np
import torch

from densepred.draw.matrix import CELL, DARK, MANY, of_labels


def test_cells_are_shaded_by_the_share_of_their_row() -> None:
    picture = np.asarray(of_labels(torch.tensor([[4, 0, 0], [0, 0, 0]]), ["a", "b"], "void"))
    corner = (picture == np.array(DARK)).all(-1)
    rows, columns = corner.any(1).nonzero()[0], corner.any(0).nonzero()[0]
    assert rows.max() - rows.min() == columns.max() - columns.min() == CELL - 2  # inside of the frame
    half = np.asarray(of_labels(torch.tensor([[4, 4, 0], [0, 9, 0]]), ["a", "b"], "void"))
    expected = [round(255 + (dark - 255) * 0.5) for dark in DARK]
    assert (half == np.array(expected)).all(-1).sum() > CELL * CELL


def test_a_column_of_void_and_many_classes_find_their_place() -> None:
    names = [f"class {i}" for i in range(8)]
    without = torch.eye(8, 9, dtype=torch.int64)
    with_void = without.clone()
    with_void[0, 8] = 1
    assert of_labels(with_void, names, "void").size[0] == of_labels(without, names, "void").size[0] + CELL
    count = MANY + 10
    many = of_labels(torch.eye(count, count + 1, dtype=torch.int64), [f"class {i}" for i in range(count)], "void")
    assert many.size[0] < count * CELL
