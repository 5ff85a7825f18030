from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.models import mobilenet_v3_large, mobilenet_v3_small
from torchvision.models.feature_extraction import create_feature_extractor

from densepred.encoder.mobilenet_v3 import MobileNetV3
from densepred.hub import published
from densepred.types import UserError

LAST = {"large": (1, 3, 6, 12, 16), "small": (0, 1, 3, 8, 12)}


@pytest.mark.parametrize(("size", "dilated"), [("small", False), ("large", True)])
def test_levels_equal_torchvisions_last_maps_of_each_stride(size: str, dilated: bool) -> None:
    torch.manual_seed(0)
    theirs = {"large": mobilenet_v3_large, "small": mobilenet_v3_small}[size](dilated=dilated).eval()
    ours = MobileNetV3(3, size, 16 if dilated else 32).eval()
    kept = {name: value for name, value in theirs.state_dict().items() if not name.startswith("classifier.")}
    ours.body.load_state_dict(kept)
    image = torch.rand(1, 3, 37, 45)
    nodes = [f"features.{place}" for place in LAST[size]]
    with torch.no_grad():
        want, have = create_feature_extractor(theirs, nodes)(image), ours(image).features
    for mine, peer, stride, channels in zip(have, want.values(), ours.strides, ours.channels, strict=True):
        torch.testing.assert_close(mine, peer)
        assert mine.shape[1:] == (channels, -(-37 // stride), -(-45 // stride))


def test_pretrained_weights_of_the_classifier_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    state, asked = mobilenet_v3_small().state_dict(), list[str]()
    monkeypatch.setattr(published, "from_address", lambda url: asked.append(url) or published.State(state, Path(url)))
    encoder = MobileNetV3(1, "small", pretrained=True)
    assert asked[0].startswith("https://download.pytorch.org/models/mobilenet_v3_small-")
    own = encoder.body.state_dict()
    assert torch.equal(own["features.12.0.weight"], state["features.12.0.weight"])
    assert torch.equal(own["features.0.0.weight"], state["features.0.0.weight"].sum(1, keepdim=True))
    assert (len(encoder.mean or ()), len(encoder.std or ())) == (1, 1)


def test_other_strides_and_blocks_are_refused() -> None:
    with pytest.raises(UserError, match=r"unknown encoder\.output_stride: 8; .*choose one of 16, 32"):
        MobileNetV3(3, output_stride=8)
    with pytest.raises(UserError, match=r"unknown encoder\.level_blocks: frist; did you mean first"):
        MobileNetV3(3, level_blocks="frist")
