from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.models import get_model_weights, resnet
from torchvision.models._utils import IntermediateLayerGetter

from densepred.encoder.resnet import BLOCKS, FILES, ResNet
from densepred.hub import published
from densepred.types import UserError

LAYERS = {"relu": "0", "layer1": "1", "layer2": "2", "layer3": "3", "layer4": "4"}


@pytest.mark.parametrize(
    ("depth", "output_stride", "dilated"),
    [(18, 32, [False] * 3), (50, 16, [False, False, True])],
)
def test_features_equal_torchvisions_with_its_dilations(depth: int, output_stride: int, dilated: list[bool]) -> None:
    torch.manual_seed(0)
    theirs = getattr(resnet, f"resnet{depth}")(replace_stride_with_dilation=dilated)
    ours = ResNet(3, depth=depth, output_stride=output_stride)
    ours.body.load_state_dict({k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")})
    image = torch.rand(2, 3, 37, 45)
    with torch.no_grad():
        want = IntermediateLayerGetter(theirs.eval(), LAYERS)(image)
        have = ours.eval()(image).features
    for mine, peer in zip(have, want.values(), strict=True):
        torch.testing.assert_close(mine, peer, atol=1e-5, rtol=1e-5)


def test_a_seed_gives_the_weights_that_torchvision_draws() -> None:
    torch.manual_seed(0)
    theirs = resnet.resnet18().state_dict()
    torch.manual_seed(0)
    ours = ResNet(3, 18).body.state_dict()
    assert list(ours) == [name for name in theirs if not name.startswith("fc.")]
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


@pytest.mark.parametrize("depth", BLOCKS)
def test_weights_are_the_newest_of_torchvision_and_fit(depth: int) -> None:
    assert get_model_weights(f"resnet{depth}")["DEFAULT"].url == published.TORCHVISION.format(FILES[depth])
    with torch.device("meta"):
        theirs = getattr(resnet, f"resnet{depth}")().state_dict()
        ours = ResNet(3, depth).body.state_dict()
    shapes = {name: value.shape for name, value in theirs.items() if not name.startswith("fc.")}
    assert {name: value.shape for name, value in ours.items()} == shapes


@pytest.mark.parametrize("output_stride", [8, 16])
def test_basic_blocks_take_the_dilations_that_bottlenecks_take(output_stride: int) -> None:
    with torch.device("meta"):
        small, large = ResNet(3, 34, output_stride), ResNet(3, 50, output_stride)
    for stage in ("layer3", "layer4"):
        for basic, bottleneck in list(zip(getattr(small.body, stage), getattr(large.body, stage), strict=False))[:3]:
            assert basic.conv1.dilation == basic.conv2.dilation == bottleneck.conv2.dilation
            assert basic.conv1.stride == bottleneck.conv2.stride
    assert small.strides == large.strides == (2, 4, 8, *((8, 8) if output_stride == 8 else (16, 16)))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pretrained_weights_encode_a_grey_image_as_an_image_of_equal_channels(
    monkeypatch: pytest.MonkeyPatch, channels: int
) -> None:
    torch.manual_seed(0)
    state = resnet.resnet18().state_dict()
    monkeypatch.setattr(published, "from_address", lambda url: published.State(state, Path(url)))
    encoder = ResNet(channels, depth=18, pretrained=True)
    conv = encoder.body.conv1
    grey = torch.rand(1, 1, 20, 20)
    want = torch.nn.functional.conv2d(grey.expand(1, 3, 20, 20), state["conv1.weight"], stride=2, padding=3)
    assert encoder.mean is not None
    assert encoder.std is not None
    assert len(encoder.mean) == len(encoder.std) == channels
    if channels != 4:
        torch.testing.assert_close(conv(grey.expand(1, channels, 20, 20)), want)
    assert torch.equal(encoder.body.layer4[1].conv2.weight, state["layer4.1.conv2.weight"])


@pytest.mark.parametrize("options", [{"depth": 20}, {"output_stride": 4}])
def test_unknown_forms_are_refused_with_those_known(options: dict[str, int]) -> None:
    with pytest.raises(UserError, match="choose one of"):
        ResNet(3, **options)


def test_levels_leave_out_the_deeper_stages() -> None:
    torch.manual_seed(0)
    whole, three = ResNet(3, 18).eval(), ResNet(3, 18, levels=3).eval()
    left = three.load_state_dict(whole.state_dict(), strict=False)
    assert not left.missing_keys
    assert {name.split(".")[1] for name in left.unexpected_keys} == {"layer3", "layer4"}
    assert (three.channels, three.strides, three.pooled) == ((64, 64, 128), (2, 4, 8), (None,) * 3)
    image = torch.rand(1, 3, 37, 45)
    with torch.no_grad():
        torch.testing.assert_close(three(image).features, whole(image).features[:3])
    with pytest.raises(UserError, match=r"encoder\.multi_grid: encoder\.levels leaves out the last stage"):
        ResNet(3, 18, levels=4, multi_grid=[1, 2])


@pytest.mark.parametrize(
    ("options", "fact"),
    [
        ({"stem": [32, 64]}, r"encoder\.stem: \[32, 64\]; give three widths of which the last is 64, or null"),
        ({"stem": [32, 32, 128]}, r"encoder\.stem: \[32, 32, 128\]; give three widths of which the last is 64"),
        ({"stem": [32, 32, 64], "pretrained": True}, r"encoder\.stem: torchvision has no weights for it"),
    ],
)
def test_stems_that_do_not_fit_are_refused(options: dict[str, Any], fact: str) -> None:
    with pytest.raises(UserError, match=fact):
        ResNet(3, 18, **options)
