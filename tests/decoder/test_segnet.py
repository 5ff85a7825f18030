from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from densepred.build.instantiate import build
from densepred.decoder.segnet import SegNet
from densepred.encoder.plain import Plain
from densepred.encoder.resnet import ResNet
from densepred.encoder.vgg import VGG
from densepred.types import HeadSpec, UserError
from densepred.upsample.nearest import Nearest
from densepred.upsample.unpool import Unpool

# conv5_3_D to conv1_1_D of the authors' segnet_train.prototxt, channels in and out; the last gives the classes.
PUBLISHED = [(512, 512)] * 3 + [(512, 512)] * 2 + [(512, 256), (256, 256), (256, 256), (256, 128)]
PUBLISHED += [(128, 128), (128, 64), (64, 64), (64, 11)]


def test_the_preset_has_the_papers_thirteen_convolutions_a_side(plain: Callable[..., dict[str, Any]]) -> None:
    with torch.device("meta"):
        heads = {"semantic": HeadSpec(11, kind="classes")}
        model = build(plain("model=segnet")["model"], heads=heads, channels=3, mean=(0.0,) * 3, std=(1.0,) * 3)
    convs = {name: part for name, part in model.named_modules() if isinstance(part, nn.Conv2d)}
    assert all(part.kernel_size == (3, 3) for part in convs.values())
    assert len([name for name in convs if name.startswith("encoder.")]) == 13
    mirrored = [part for name, part in convs.items() if not name.startswith("encoder.")]
    assert [(part.in_channels, part.out_channels) for part in mirrored] == PUBLISHED
    assert sum(value.numel() for value in model.parameters()) == 29_445_643


def test_it_equals_torchs_unpooling_and_the_same_convolutions() -> None:
    torch.manual_seed(0)
    encoder = VGG(3, width=0.0625)
    decoder = SegNet(encoder, Unpool)
    pyramid = encoder(torch.rand(2, 3, 37, 45))
    x = pyramid.features[-1]
    for step, block in enumerate(decoder.blocks):
        x = nn.MaxUnpool2d(2)(x, pyramid.indices[-1 - step], output_size=pyramid.features[-2 - step].shape[-2:])
        x = block(x)
    torch.testing.assert_close(decoder(pyramid)[-1], x)
    assert x.shape == (2, 4, 37, 45)


def test_the_encoders_levels_are_not_joined() -> None:
    encoder = Plain(3, (4, 6, 8))
    decoder = SegNet(encoder, Nearest).eval()
    pyramid = encoder(torch.rand(1, 3, 20, 24))
    want = decoder(pyramid)[-1]
    pyramid.features[:-1] = [torch.randn_like(feature) for feature in pyramid.features[:-1]]
    assert torch.equal(decoder(pyramid)[-1], want)


def test_fewer_steps_take_the_last_depths_and_more_repeat_the_first() -> None:
    def depths(widths: tuple[int, ...], given: tuple[int, ...]) -> list[int]:
        return [len(block) for block in SegNet(Plain(3, widths), Nearest, given).blocks]  # pyright: ignore

    assert depths((4, 4, 4), (3, 3, 3, 2, 1)) == [2, 1]
    assert depths((4, 4, 4, 4, 4), (2, 1)) == [2, 2, 2, 1]


def test_an_encoder_that_begins_coarse_is_climbed_to_full_size() -> None:
    encoder = ResNet(3, 18)
    decoder = SegNet(encoder, Nearest, depths=(1,))
    assert decoder.strides == (16, 8, 4, 2, 1)
    assert [x.shape[1] for x in decoder(encoder(torch.rand(1, 3, 64, 64)))] == list(decoder.channels)


def test_wrong_numbers_are_refused_with_the_right_ones() -> None:
    with pytest.raises(UserError, match=r"decoder\.widths has 1 numbers; give this encoder 4, .* 8, 4, 2, 1"):
        SegNet(Plain(3), Nearest, widths=(8,))
    with pytest.raises(UserError, match=r"decoder\.depths: \[2, 0\]; give at least one convolution per step"):
        SegNet(Plain(3), Nearest, depths=(2, 0))
