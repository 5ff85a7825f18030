from __future__ import annotations

import pytest
import torch
from torchvision.models import get_model
from torchvision.models.vgg import make_layers

from densepred.encoder.vgg import VGG16
from densepred.types import UserError


@pytest.mark.parametrize("batch_norm", [False, True])
def test_official_weights_fit_key_by_key(batch_norm: bool) -> None:
    with torch.device("meta"):
        theirs = get_model("vgg16_bn" if batch_norm else "vgg16").state_dict()
        ours = VGG16(3, batch_norm=batch_norm).body.state_dict()
    shapes = {key: value.shape for key, value in theirs.items() if key.startswith("features.")}
    assert {key: value.shape for key, value in ours.items()} == shapes


def test_the_last_level_is_what_torchvisions_features_give() -> None:
    torch.manual_seed(0)
    encoder = VGG16(3, width=0.125).eval()
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
        VGG16(3, width=0.5, pretrained=True)
