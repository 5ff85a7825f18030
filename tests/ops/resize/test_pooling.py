"""Means over grids, as they are and in an exported program."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._decomp import get_decompositions

from densepred.ops.resize.pooling import grid_means

BINS = (1, 3)


class Pyramid(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(grid_means(x, bins) for bins in BINS)


@pytest.mark.slow
def test_an_exported_program_means_over_the_same_cells_at_every_size() -> None:
    sides = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    # At 37 x 45 some cells are equally large, which must not be taken for a rule.
    program = torch.export.export(Pyramid(), (torch.rand(1, 2, 37, 45),), dynamic_shapes={"x": sides})
    pooling = torch.ops.aten._adaptive_avg_pool2d  # of which ONNX writes the parts
    module = program.run_decompositions().run_decompositions(get_decompositions([pooling])).module()
    for height, width in ((37, 45), (46, 10), (6, 7), (4, 5), (23, 46)):
        x = torch.rand(1, 2, height, width)
        for bins, found in zip(BINS, module(x), strict=True):
            torch.testing.assert_close(found, F.adaptive_avg_pool2d(x, bins), msg=f"{height}x{width}, {bins} bins")
