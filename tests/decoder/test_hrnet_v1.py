from __future__ import annotations

import pytest
import torch

from densepred.decoder.hrnet_v1 import HRNetV1
from densepred.encoder.plain import Plain
from densepred.encoder.resnet import ResNet
from densepred.types import UserError


def test_it_is_the_first_level_of_its_stride() -> None:
    encoder = ResNet(3, 18)
    decoder = HRNetV1(encoder)
    pyramid = encoder(torch.rand(1, 3, 37, 45))
    (x,) = decoder(pyramid)
    assert x is pyramid.features[1]
    assert (decoder.channels, decoder.strides) == ((64,), (4,))
    assert not list(decoder.parameters())
    assert HRNetV1(encoder, stride=3).strides == (4,)


def test_a_stride_beyond_the_encoder_is_refused() -> None:
    with pytest.raises(UserError, match=r"decoder\.stride=4 is beyond the encoder's 2; give a smaller one"):
        HRNetV1(Plain(3, (4, 8)))
