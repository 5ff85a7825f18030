"""VGG-19 against torchvision's, whole and in part."""

from __future__ import annotations

import pytest
import torch
from torchvision.models import vgg19, vgg19_bn

from densepred.encoder.vgg19 import VGG19
from densepred.errors import UserError


@pytest.mark.parametrize("batch_norm", [False, True])
def test_all_convolutions_are_torchvisions(batch_norm: bool) -> None:
    with torch.device("meta"):
        ours, theirs = VGG19(3, batch_norm=batch_norm), (vgg19_bn if batch_norm else vgg19)()
    names = {name: value.shape for name, value in theirs.state_dict().items() if name.startswith("features.")}
    assert {name.removeprefix("body."): value.shape for name, value in ours.state_dict().items()} == names
    assert ours.channels == (64, 128, 256, 512, 512, 512)
    assert ours.strides == (1, 2, 4, 8, 16, 32)


def test_the_first_ten_end_at_stride_8_with_512_channels() -> None:
    torch.manual_seed(0)
    encoder = VGG19(3, convolutions=10, width=0.125)
    assert (encoder.channels, encoder.strides) == ((8, 16, 32, 64), (1, 2, 4, 8))
    image = torch.rand(2, 3, 40, 56)
    features = encoder(image).features
    for x, channels, stride in zip(features, (8, 16, 32, 64), (1, 2, 4, 8), strict=True):
        assert x.shape == (2, channels, 40 // stride, 56 // stride)
    assert torch.equal(features[-1], encoder.body["features"](image))
    with torch.device("meta"):
        assert sum(value.numel() for value in VGG19(3, convolutions=10).parameters()) == 5_865_536


@pytest.mark.parametrize("number", [0, 17])
def test_other_numbers_of_convolutions_are_refused(number: int) -> None:
    with pytest.raises(UserError, match="give 1 to 16"):
        VGG19(3, convolutions=number)


def test_images_that_vanish_are_refused() -> None:
    with pytest.raises(UserError, match="vanishes"):
        VGG19(3, width=0.02)(torch.rand(1, 3, 31, 64))
