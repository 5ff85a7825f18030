from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from densepred.encoder.hrnet import PUBLISHED, HRNet
from densepred.weights.coverage import copy_matching
from densepred.weights.families import family, matching_families


def shake(model: nn.Module) -> None:
    """Draw statistics that are not the identity, so that a misplaced norm changes the output."""
    torch.manual_seed(0)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.0)
            nn.init.normal_(part.bias, std=0.1)
            assert part.running_mean is not None
            assert part.running_var is not None
            nn.init.normal_(part.running_mean, std=0.1)
            nn.init.uniform_(part.running_var, 0.5, 1.5)


@pytest.mark.parametrize("name", ["hrnet_w18", "hrnet_w18_small"])
def test_branches_equal_timms_with_its_weights(name: str) -> None:
    theirs = timm.create_model(name, features_only=True, feature_location="").eval()
    shake(theirs)
    width, modules, blocks, bottlenecks, bottleneck_width, _ = {v: k for k, v in PUBLISHED.items()}[name]
    form = {"modules": modules, "blocks": blocks, "bottlenecks": bottlenecks, "bottleneck_width": bottleneck_width}
    ours = HRNet(3, width, **form, fuse="nearest", shallow=True).eval()
    state, extras = family("hrnet_classification").rename(theirs.state_dict())
    assert not extras
    ours.load_state_dict({key.removeprefix("encoder."): value for key, value in state.items()})
    for size in ((32, 64), (64, 32)):  # timm's own fusion fails unless 32 divides both
        image = torch.rand(2, 3, *size)
        with torch.no_grad():
            want, have = theirs(image), ours(image).features
        assert ours.strides == tuple(theirs.feature_info.reduction())  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
        for mine, peer in zip(have, want, strict=True):
            assert mine.shape == peer.shape
            torch.testing.assert_close(mine, peer, atol=1e-5, rtol=1e-5)


QUICK = ("hrnet_w18_small_v2",)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in PUBLISHED.values()]
)
def test_of_a_classifier_only_the_head_is_left_over(name: str) -> None:
    key = next(form for form, one in PUBLISHED.items() if one == name)
    width, modules, blocks, bottlenecks, bottleneck_width, stem_width = key
    with torch.device("meta"):
        theirs = timm.create_model(name).state_dict()
        encoder = HRNet(3, width, modules, blocks, bottlenecks, bottleneck_width, stem_width)
    assert matching_families(theirs) == ["hrnet_classification"]
    state, extras = family("hrnet_classification").rename(theirs)
    own = {f"encoder.{key}": value.shape for key, value in encoder.state_dict().items()}
    assert {key: value.shape for key, value in state.items()} == own
    heads = {extra.partition(".")[0] for extra in extras}
    assert heads == {"incre_modules", "downsamp_modules", "final_layer", "classifier"}


def test_a_pose_encoder_starts_from_a_classifier_and_leaves_the_coarse_ends() -> None:
    with torch.device("meta"):
        full, single = HRNet(3, 4, blocks=1), HRNet(3, 4, blocks=1, single=True)
    state = {key: torch.zeros(value.shape) for key, value in full.state_dict().items()}
    single.to_empty(device="cpu")
    coverage = copy_matching(single, state)
    assert not coverage.missing
    assert coverage.unexpected
    assert all(name.startswith("stage4.2.fuse_layers.") for name in coverage.unexpected)
