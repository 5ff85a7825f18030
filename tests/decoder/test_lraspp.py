"""Outputs equal torchvision's in tests/weights/keymap/test_segmentation.py."""

from __future__ import annotations

import pytest
import torch

from densepred.decoder.lraspp import LRASPP
from densepred.encoder.resnet import ResNet
from densepred.types import UserError
from densepred.upsample.bilinear import Bilinear


def test_the_map_has_the_stride_of_the_shallow_level_which_stands_last() -> None:
    encoder = ResNet(3, 18).eval()
    decoder = LRASPP(encoder, Bilinear, width=6).eval()
    pyramid = encoder(torch.rand(1, 3, 50, 70))
    with torch.no_grad():
        (have,) = decoder(pyramid)
    assert (decoder.channels, decoder.strides) == ((134,), (8,))
    assert have.shape == (1, 134, 7, 9)
    assert torch.equal(have[:, 6:], pyramid.features[2])


def test_the_deepest_level_alone_is_refused() -> None:
    with pytest.raises(UserError, match=r"decoder\.stride=32: leaves no level"):
        LRASPP(ResNet(3, 18), Bilinear, stride=32)
