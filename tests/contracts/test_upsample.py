"""Every upsampling of configs/upsample gives the size that it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from densepred.build.instantiate import build
from densepred.contracts import UpsampleFactory

NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "configs" / "upsample").glob("*.yaml"))


@pytest.fixture(scope="module")
def factory(plain: Callable[..., dict[str, Any]]) -> Callable[[str], UpsampleFactory]:
    """The upsampling of a name, composed once."""
    return cache(lambda name: build(plain("model=encoder_decoder", "decoder=unet", f"upsample={name}")["upsample"]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("size", [(37, 45), (36, 44), (2, 3)])
@pytest.mark.parametrize("channels", [(6, 4, 5), (4, 4, 4)])
def test_the_size_of_the_map_that_was_pooled_comes_back(
    factory: Callable[[str], UpsampleFactory],
    name: str,
    batch: int,
    size: tuple[int, int],
    channels: tuple[int, int, int],
) -> None:
    before, after, pooled = channels
    up = factory(name)(before, after, pooled, factor=2)
    small, indices = F.max_pool2d(torch.rand(batch, pooled, *size), 2, return_indices=True)
    x = torch.rand(batch, before, *small.shape[-2:], requires_grad=True)
    y = up(x, size, indices)
    assert y.shape == (batch, after, *size)
    y.square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("name", [name for name in NAMES if name != "unpool"])
@pytest.mark.parametrize("factor", [1, 2, 3, 4, 6])
def test_a_strided_convolution_is_undone_at_any_factor(
    factory: Callable[[str], UpsampleFactory], name: str, factor: int
) -> None:
    up = factory(name)(4, 3, None, factor=factor)
    for size in ((37, 45), (1, 1)):
        small = [-(-length // factor) for length in size]
        assert up(torch.rand(1, 4, *small), size, None).shape == (1, 3, *size)
