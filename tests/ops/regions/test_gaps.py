from __future__ import annotations

import numpy as np
import pytest
import torch

from densepred.ops.regions.gaps import close, touching


def slow(ids: np.ndarray, width: int) -> np.ndarray:
    out = np.zeros(ids.shape, bool)
    for y, x in zip(*np.nonzero(ids), strict=True):
        near = ids[max(0, y - width) : y + width + 1, max(0, x - width) : x + width + 1]
        out[y, x] = bool(((near > 0) & (near != ids[y, x])).any())
    return out


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("size", [(14, 19), (1, 30), (1, 1)])
def test_touching_pixels_are_those_with_another_instance_near(width: int, size: tuple[int, int]) -> None:
    ids = np.random.default_rng(0).choice([0, 0, 0, 1, 7, 300], size).astype(np.int32)
    assert touching(torch.from_numpy(ids), width).tolist() == slow(ids, width).tolist()


@pytest.mark.parametrize("width", [1, 2])
def test_a_gap_that_was_cut_is_closed_again(width: int) -> None:
    """Bricks meet in corners of three, tiles in corners of four; gaps end in the open and at the edge of the image."""
    tiles = np.kron(np.arange(1, 13).reshape(3, 4), np.ones((9, 11), int)).astype(np.int32)
    bricks = np.concatenate([row[:, 5 * (i % 2) : 39 + 5 * (i % 2)] for i, row in enumerate(np.split(tiles, 3))])
    inside, outside = (tiles, bricks), (np.pad(tiles, 4), np.pad(bricks, 4))
    for ids in inside + outside if width == 1 else inside:
        cut = np.where(touching(torch.from_numpy(ids), width).numpy(), 0, ids)
        assert (cut != ids).sum() > 200
        assert close(cut, width).tolist() == ids.tolist()


def test_only_gaps_are_closed() -> None:
    ids = np.zeros((7, 12), np.int32)
    ids[2:5, 1:4] = 1
    ids[2:5, 7:9] = 2  # three pixels apart is no gap of width 1
    assert close(ids, 1).tolist() == ids.tolist()
    ids[2:5, 6] = 2
    wanted = ids.copy()
    wanted[2:5, 4] = 1
    wanted[2:5, 5] = 2
    assert close(ids, 1).tolist() == wanted.tolist()
    assert close(np.zeros((3, 3), np.int32), 1).max() == 0
