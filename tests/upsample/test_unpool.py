from __future__ import annotations

import pytest
import torch
from torch import nn

from densepred.types import UserError
from densepred.upsample.unpool import Unpool


@pytest.mark.parametrize("size", [(37, 45), (8, 6), (2, 2)])
@pytest.mark.parametrize("batch", [1, 2])
def test_it_equals_torchs_max_unpooling(size: tuple[int, int], batch: int) -> None:
    small, indices = nn.MaxPool2d(2, return_indices=True)(torch.rand(batch, 3, *size))
    ours, theirs = small.clone().requires_grad_(), small.clone().requires_grad_()
    want = nn.MaxUnpool2d(2)(theirs, indices, output_size=size)
    have = Unpool(3, 3, 3)(ours, size, indices)
    assert torch.equal(have, want)
    weight = torch.rand_like(want)
    (have * weight).sum().backward()
    (want * weight).sum().backward()
    assert torch.equal(ours.grad, theirs.grad)  # pyright: ignore[reportArgumentType]


def test_it_works_under_deterministic_algorithms() -> None:
    small, indices = nn.MaxPool2d(2, return_indices=True)(torch.rand(2, 3, 9, 7))
    torch.use_deterministic_algorithms(True)
    try:
        x = small.requires_grad_()
        Unpool(3, 3, 3)(x, (9, 7), indices).sum().backward()
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(x.grad, torch.ones_like(x))  # pyright: ignore[reportArgumentType]


def test_an_encoder_that_does_not_pool_is_refused_with_the_remedy() -> None:
    with pytest.raises(UserError, match=r"needs an encoder that max-pools .* \(plain, vgg16\).*upsample=bilinear"):
        Unpool(4, 4, None)


def test_another_factor_is_refused() -> None:
    with pytest.raises(UserError, match="rises by 4 at once; use upsample=bilinear"):
        Unpool(4, 4, 4, factor=4)
