from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.segmentation import deeplabv3_resnet50, deeplabv3_resnet101

from densepred.decoder.deeplabv3 import ASPP, DeepLabV3
from densepred.encoder.resnet import ResNet
from densepred.model.encoder_decoder import EncoderDecoder
from densepred.types import HeadSpec
from tests import cases

PREFIXES = {
    "backbone.": "encoder.body.",
    "classifier.0.": "decoder.aspp.",
    "classifier.1.": "decoder.mix.0.",
    "classifier.2.": "decoder.mix.1.",
    "classifier.4.": "heads.semantic.convs.0.",
}


def ours(key: str) -> str:
    prefix = next(prefix for prefix in PREFIXES if key.startswith(prefix))
    return PREFIXES[prefix] + key.removeprefix(prefix)


def randomise_statistics(model: nn.Module) -> None:
    """Fresh running statistics would hide a norm that is in the wrong place."""
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.1, 0.1)  # pyright: ignore[reportArgumentType]
            nn.init.uniform_(part.running_var, 0.5, 1.5)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("depth", "reference"), [(50, deeplabv3_resnet50), cases.slow((101, deeplabv3_resnet101))])
def test_it_equals_torchvision_with_its_weights(depth: int, reference: partial[nn.Module]) -> None:
    torch.manual_seed(0)
    theirs = reference(weights=None, weights_backbone=None, num_classes=5).eval()
    randomise_statistics(theirs)
    encoder = partial(ResNet, depth=depth, output_stride=8)
    model = EncoderDecoder(
        encoder, DeepLabV3, {"semantic": HeadSpec(5, kind="classes")}, 3, mean=(0, 0, 0), std=(1, 1, 1)
    ).eval()
    missing = model.load_state_dict({ours(key): value for key, value in theirs.state_dict().items()}, strict=False)
    assert missing.missing_keys == ["mean", "std"]
    assert not missing.unexpected_keys
    image = torch.rand(1, 3, 61, 45)
    with torch.no_grad():
        want: Tensor = theirs(image)["out"]
        have = nn.functional.interpolate(model(image)["semantic"][-1], (61, 45), mode="bilinear", align_corners=False)
    assert (have - want).abs().max() <= 1e-5 * want.abs().max()


@pytest.mark.parametrize(("output_stride", "atrous_rates"), [(8, [12, 24, 36]), (16, [6, 12, 18]), (32, [3, 6, 9])])
def test_rates_follow_the_output_stride(output_stride: int, atrous_rates: list[int]) -> None:
    with torch.device("meta"):
        decoder = DeepLabV3(ResNet(3, 18, output_stride), width=8)
    found = [part.dilation[0] for part in decoder.aspp.convs.modules() if isinstance(part, nn.Conv2d)]
    assert found == [1, *atrous_rates, 1]


def test_the_pooled_branch_trains_on_one_image_and_keeps_its_statistics() -> None:
    aspp = ASPP(4, 8, (1, 2), "batch", "relu", 0.0)
    norm = aspp.convs[-1][2]  # pyright: ignore[reportIndexIssue]
    before = norm.running_mean.clone()
    aspp(torch.rand(1, 4, 5, 7)).sum().backward()
    assert torch.equal(norm.running_mean, before)
    aspp(torch.rand(2, 4, 5, 7))
    assert not torch.equal(norm.running_mean, before)
