from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from densepred.upsample.bilinear_matmul import BilinearMatmul

SIZES = [
    ((6, 8), (12, 16)),
    ((10, 12), (37, 45)),
    ((1, 1), (5, 3)),
    ((3, 4), (3, 9)),
    ((9, 8), (4, 3)),
    ((4, 5), (1, 1)),
]


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("source", "size"), SIZES)
def test_values_and_gradients_are_torchs(source: tuple[int, int], size: tuple[int, int], align_corners: bool) -> None:
    torch.manual_seed(0)
    ours = torch.randn(2, 3, *source, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    have = BilinearMatmul(3, 3, None, align_corners=align_corners)(ours, size, None)
    want = F.interpolate(theirs, size, mode="bilinear", align_corners=align_corners)
    torch.testing.assert_close(have, want, rtol=1e-5, atol=2e-6)
    weight = torch.randn_like(want)
    (have * weight).sum().backward()
    (want * weight).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=5e-6)


def test_a_size_seen_in_a_validation_can_be_trained() -> None:
    up = BilinearMatmul(2, 2, None)
    with torch.inference_mode():
        up(torch.rand(1, 2, 11, 13), (23, 29), None)
    x = torch.rand(1, 2, 11, 13, requires_grad=True)
    up(x, (23, 29), None).sum().backward()
    assert x.grad is not None


def test_half_precision_rounds_once() -> None:
    x = torch.randn(1, 4, 9, 7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = BilinearMatmul(4, 4, None)(x.bfloat16(), (25, 17), None)
    want = F.interpolate(x.bfloat16().float(), (25, 17), mode="bilinear")
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), want, rtol=2**-8, atol=1e-6)
