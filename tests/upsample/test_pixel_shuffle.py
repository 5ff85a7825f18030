from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from densepred.build.instantiate import build
from densepred.types import UserError
from densepred.upsample.pixel_shuffle import PixelShuffle


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_it_is_a_convolution_with_channels_laid_out(factor: int) -> None:
    torch.manual_seed(0)
    up = PixelShuffle(4, 3, None, factor, init="random")
    x = torch.randn(2, 4, 5, 6)
    made = F.conv2d(x, up.conv.weight, up.conv.bias, padding=1)
    y = up(x, (5 * factor, 6 * factor), None)
    for channel, row, column in ((0, 0, 0), (1, 7 % (5 * factor), 3), (2, 5 * factor - 1, 6 * factor - 1)):
        part = channel * factor**2 + row % factor * factor + column % factor
        torch.testing.assert_close(y[:, channel, row, column], made[:, part, row // factor, column // factor])


@pytest.mark.parametrize("factor", [2, 3])
def test_icnr_begins_as_nearest_neighbour_upsampling_of_a_convolution(factor: int) -> None:
    torch.manual_seed(0)
    up = PixelShuffle(4, 3, None, factor)
    x = torch.randn(1, 4, 5, 6)
    low = F.conv2d(x, up.conv.weight[:: factor**2], padding=1)
    torch.testing.assert_close(up(x, (5 * factor, 6 * factor), None), F.interpolate(low, scale_factor=factor))
    assert (
        PixelShuffle(4, 3, None, factor, init="random").conv.weight.unique().numel() > up.conv.weight.unique().numel()
    )


@pytest.mark.parametrize("init", ["icnr", "random"])
def test_the_scale_of_the_input_is_kept_by_the_first_weights(init: str) -> None:
    torch.manual_seed(0)
    y = PixelShuffle(256, 64, None, init=init)(torch.randn(1, 256, 16, 16), (32, 32), None)
    assert y.std().item() == pytest.approx(1, abs=0.15)


def test_the_odd_row_continues_the_map() -> None:
    torch.manual_seed(0)
    up = PixelShuffle(2, 2, None, kernel=1)
    x = torch.rand(1, 2, 3, 4)
    y = up(x, (7, 9), None)
    torch.testing.assert_close(y[:, :, 6, :8], y[:, :, 5, :8])
    torch.testing.assert_close(y[:, :, :, 8], y[:, :, :, 7])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match=r"upsample\.kernel: 2; give an odd number"):
        PixelShuffle(2, 2, None, kernel=2)
    with pytest.raises(UserError, match=r"unknown upsample\.init: icrn; did you mean icnr"):
        PixelShuffle(2, 2, None, init="icrn")


@pytest.mark.parametrize("name", ["unet", "segnet", "fpn", "upernet", "segformer"])
def test_no_decoder_overwrites_the_first_weights(plain: Callable[..., dict[str, Any]], name: str) -> None:
    node = plain("model=encoder_decoder", f"decoder={name}", "upsample=pixel_shuffle")["model"]
    encoder = build(node["encoder"])(in_channels=3)
    layers = [part for part in build(node["decoder"])(encoder).modules() if isinstance(part, PixelShuffle)]
    assert layers
    for layer in layers:
        weight = layer.conv.weight.unflatten(0, (-1, 4))
        assert torch.equal(weight, weight[:, :1].expand_as(weight))
