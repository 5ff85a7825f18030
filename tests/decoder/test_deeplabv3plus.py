from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from densepred.decoder.deeplabv3plus import DeepLabV3Plus, low_level
from densepred.encoder.plain import Plain
from densepred.encoder.resnet import ResNet
from densepred.nn import ConvNormAct, SeparableConvNormAct
from densepred.types import UserError
from densepred.upsample.bilinear import Bilinear
from densepred.upsample.unpool import Unpool


def made(output_stride: int = 16, **options: Any) -> DeepLabV3Plus:
    with torch.device("meta"):
        return DeepLabV3Plus(ResNet(3, 50, output_stride), Bilinear, **options)


def test_the_paper_s_decoder_has_its_parameters() -> None:
    """Low level 256 -> 48, two 3x3 of 256 on 304, each with two parameters per channel of BatchNorm."""
    decoder = made()
    assert sum(value.numel() for value in decoder.reduce.parameters()) == 256 * 48 + 2 * 48
    assert sum(value.numel() for value in decoder.convs.parameters()) == 9 * 256 * (304 + 256) + 4 * 256
    assert decoder.strides == (4,)


def test_a_separable_convolution_is_one_of_each_channel_and_a_1x1() -> None:
    torch.manual_seed(0)
    conv = SeparableConvNormAct(3, 5, dilation=2, norm="none", activation="none").eval()
    own, mix = conv[0][0], conv[0][-1]  # pyright: ignore
    whole = mix.weight[:, :, 0, 0, None, None] * own.weight[None, :, 0]
    x = torch.rand(2, 3, 9, 11)
    bias = mix.bias + mix.weight[:, :, 0, 0] @ own.bias
    want = nn.functional.conv2d(x, whole, bias, padding=2, dilation=2)
    torch.testing.assert_close(conv(x), want)


def test_separable_parameters() -> None:
    decoder = made(separable=True)
    first = sum(value.numel() for value in decoder.convs[0].parameters())  # pyright: ignore
    assert first == 9 * 304 + 2 * 304 + 304 * 256 + 2 * 256
    bare = made(separable=True, between=False)
    assert sum(v.numel() for v in bare.convs[0].parameters()) == 9 * 304 + 304 * 256 + 2 * 256  # pyright: ignore
    atrous_rates = [
        part.dilation[0] for part in decoder.aspp.modules() if isinstance(part, nn.Conv2d) and part.groups > 1
    ]
    assert atrous_rates == [6, 12, 18]


@pytest.mark.parametrize(
    ("strides", "level"), [((2, 4, 8, 16, 16), 1), ((2, 4, 8, 8, 8), 1), ((1, 2, 4), 1), ((8, 16, 32), 0), ((1, 32), 0)]
)
def test_the_low_level_is_the_deepest_of_at_most_stride_4(strides: tuple[int, ...], level: int) -> None:
    assert low_level(strides, 4) == level


def test_an_encoder_of_one_level_is_refused() -> None:
    with pytest.raises(UserError, match="two levels or more; use decoder=deeplabv3"):
        low_level((16,), 4)


def test_unpooling_serves_neighbouring_levels_only() -> None:
    encoder = Plain(3, widths=(4, 6, 8))
    decoder = DeepLabV3Plus(encoder, Unpool, width=8, low_width=4)
    assert decoder(encoder(torch.rand(1, 3, 37, 45)))[0].shape == (1, 8, 18, 22)
    with pytest.raises(UserError, match="rises by 4 at once"):
        DeepLabV3Plus(encoder, Unpool, width=8, low_width=4, stride=1)


def test_no_convolution_is_refused() -> None:
    with pytest.raises(UserError, match=r"decoder\.convs: 0; give 1 or more"):
        DeepLabV3Plus(Plain(3, widths=(4, 6)), Bilinear, convs=0)


@pytest.mark.parametrize("make", [ConvNormAct, partial(SeparableConvNormAct, between=False)])
def test_dilated_convolution_by_the_textbook(make: Any) -> None:
    """y[i] = sum over k of x[i + r k] w[k]: the taps stand r apart, as in a plain kernel with zeros between them."""
    rate, x = 3, torch.arange(11.0).square()
    taps = torch.tensor([2.0, -1.0, 5.0])
    conv = make(1, 1, dilation=rate, norm="none", activation="none")
    own = conv[0] if isinstance(conv[0], nn.Conv2d) else conv[0][0]
    with torch.no_grad():
        for part in conv.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.zeros_(part.bias)  # pyright: ignore
                nn.init.ones_(part.weight)
        own.weight.zero_()
        own.weight[0, 0, 1] = taps
        have = conv(x[None, None, None])[0, 0, 0]
    want = [
        sum(taps[k].item() * x[i + rate * (k - 1)].item() for k in range(3) if 0 <= i + rate * (k - 1) < 11)
        for i in range(11)
    ]
    assert have.tolist() == pytest.approx(want)
    zeros = torch.zeros(2 * rate + 1)
    zeros[::rate] = taps
    plain = nn.functional.conv1d(x[None, None], zeros[None, None], padding=rate)[0, 0]
    torch.testing.assert_close(have, plain)
