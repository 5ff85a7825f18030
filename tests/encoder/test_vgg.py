from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torchvision.models import get_model, get_model_weights
from torchvision.models.vgg import make_layers

from densepred.encoder.vgg import FILES, VGG
from densepred.hub import published
from densepred.types import UserError


@pytest.mark.parametrize("depth", [16, 19])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_official_weights_fit_key_by_key(depth: int, batch_norm: bool) -> None:
    with torch.device("meta"):
        theirs = get_model(f"vgg{depth}_bn" if batch_norm else f"vgg{depth}").state_dict()
        ours = VGG(3, depth, batch_norm=batch_norm).body.state_dict()
    shapes = {key: value.shape for key, value in theirs.items() if key.startswith("features.")}
    assert {key: value.shape for key, value in ours.items()} == shapes
    newest = get_model_weights(f"vgg{depth}_bn" if batch_norm else f"vgg{depth}")["DEFAULT"]
    assert newest.url == published.TORCHVISION.format(FILES[depth, batch_norm])


def test_the_last_level_is_what_torchvisions_features_give() -> None:
    torch.manual_seed(0)
    encoder = VGG(3, width=0.125).eval()
    theirs = make_layers([8, 8, "M", 16, 16, "M", 32, 32, 32, "M", 64, 64, 64, "M", 64, 64, 64, "M"], batch_norm=True)
    theirs.load_state_dict({k.removeprefix("features."): v for k, v in encoder.body.state_dict().items()})
    image = torch.rand(2, 3, 37, 45)
    with torch.no_grad():
        pyramid = encoder(image)
        assert torch.equal(pyramid.features[-1], theirs.eval()(image))
    for level in range(1, 6):
        before, after = pyramid.features[level - 1], pyramid.indices[level]
        assert after is not None
        pooled = before.flatten(2).gather(2, after.flatten(2)).view(after.shape)
        assert torch.equal(pooled, torch.nn.functional.max_pool2d(before, 2))


def test_a_narrow_network_has_no_published_weights() -> None:
    with pytest.raises(UserError, match=r"encoder\.width: 0\.5 has no published weights"):
        VGG(3, width=0.5, pretrained=True)


def test_the_first_ten_end_at_stride_8_with_512_channels() -> None:
    torch.manual_seed(0)
    encoder = VGG(3, 19, convolutions=10, batch_norm=False, width=0.125)
    assert (encoder.channels, encoder.strides) == ((8, 16, 32, 64), (1, 2, 4, 8))
    image = torch.rand(2, 3, 40, 56)
    features = encoder(image).features
    for x, channels, stride in zip(features, (8, 16, 32, 64), (1, 2, 4, 8), strict=True):
        assert x.shape == (2, channels, 40 // stride, 56 // stride)
    assert torch.equal(features[-1], encoder.body["features"](image))
    with torch.device("meta"):
        assert sum(value.numel() for value in VGG(3, 19, convolutions=10, batch_norm=False).parameters()) == 5_865_536


@pytest.mark.parametrize("number", [0, 17])
def test_other_numbers_of_convolutions_are_refused(number: int) -> None:
    with pytest.raises(UserError, match="give 1 to 16"):
        VGG(3, 19, convolutions=number)


def test_images_that_would_vanish_are_mirrored() -> None:
    encoder, image = VGG(3, 19, width=0.02).eval(), torch.rand(1, 3, 20, 64)
    mirrored = F.pad(image, (0, 0, 0, 12), mode="reflect")
    with torch.no_grad():
        for found, expected in zip(encoder(image).features, encoder(mirrored).features, strict=True):
            assert torch.equal(found, expected)
