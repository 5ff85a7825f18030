from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from densepred.ops.resize.bilinear_kernel import bilinear_filter


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 8, 32])
def test_a_transposed_convolution_with_it_interpolates_inside_the_map(stride: int) -> None:
    kernel = 2 * stride - stride % 2
    x = torch.randn(1, 1, 5, 6)
    wide = F.conv_transpose2d(x, bilinear_filter(kernel)[None, None], stride=stride, padding=(kernel - stride) // 2)
    wanted = F.interpolate(x, (5 * stride, 6 * stride), mode="bilinear")
    inside = slice(stride, -stride)
    torch.testing.assert_close(wide[..., inside, inside], wanted[..., inside, inside])


def test_the_published_kernels_are_triangles() -> None:
    line = torch.tensor([0.25, 0.75, 0.75, 0.25])
    torch.testing.assert_close(bilinear_filter(4), line[:, None] * line)
    line = torch.tensor([1.0, 2.0, 3.0, 2.0, 1.0]) / 3
    torch.testing.assert_close(bilinear_filter(5), line[:, None] * line)
