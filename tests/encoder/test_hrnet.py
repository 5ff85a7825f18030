from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from densepred.encoder.hrnet import Fusion, HRNet
from densepred.hub import published
from densepred.types import UserError

TINY: dict[str, Any] = {"width": 4, "modules": (1, 1, 1), "blocks": 1, "bottlenecks": 1, "bottleneck_width": 4}


def slow_fusion(module: Fusion, maps: list[torch.Tensor]) -> list[torch.Tensor]:
    """A fusion by the formula of the paper: the sum over sources, one target at a time."""
    maps = [branch(x) for branch, x in zip(module.branches, maps, strict=True)]
    fused = []
    for target, layers in enumerate(module.fuse_layers):
        parts = []
        for source, layer in enumerate(layers):  # pyright: ignore[reportArgumentType]
            part, (height, width) = layer(maps[source]), maps[target].shape[-2:]
            if source > target and module.fuse == "nearest":
                factor = 2 ** (source - target)
                part = part.repeat_interleave(factor, -1).repeat_interleave(factor, -2)[..., :height, :width]
            elif source > target:
                part = F.interpolate(part, (height, width), mode="bilinear", align_corners=module.align_corners)
            parts.append(part)
        fused.append(torch.stack(parts).sum(0).clamp(min=0))
    return fused


@pytest.mark.parametrize(("fuse", "align_corners"), [("nearest", False), ("bilinear", False), ("bilinear", True)])
@pytest.mark.parametrize("ends", [1, 4])
def test_a_fusion_sums_all_branches_at_each_size(fuse: str, align_corners: bool, ends: int) -> None:
    torch.manual_seed(0)
    module = Fusion((2, 4, 8, 16), 1, ends, fuse, align_corners).eval()
    sizes = ((11, 14), (6, 7), (3, 4), (2, 2))
    maps = [torch.randn(2, 2 * 2**i, *size) for i, size in enumerate(sizes)]
    with torch.no_grad():
        have, want = module(list(maps)), slow_fusion(module, list(maps))
    assert len(have) == ends
    for mine, peer in zip(have, want, strict=True):
        torch.testing.assert_close(mine, peer, atol=1e-6, rtol=1e-5)


def test_nearest_keeps_cells_in_place_at_sizes_that_do_not_divide() -> None:
    module = Fusion((1, 1, 1), 1, 1, "nearest", False)
    coarse = torch.arange(2.0).view(1, 1, 1, 2)
    assert module.enlarge(coarse, (1, 5), 4).flatten().tolist() == [0, 0, 0, 0, 1]
    assert F.interpolate(coarse, (1, 5), mode="nearest").flatten().tolist() == [0, 0, 0, 1, 1]


def test_the_three_ways_of_fusing_take_the_same_weights_and_differ() -> None:
    torch.manual_seed(0)
    ways = [
        HRNet(3, **TINY, fuse=fuse, align_corners=corners).eval()
        for fuse, corners in (("nearest", False), ("bilinear", False), ("bilinear", True))
    ]
    for part in ways[0].modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)
    image = torch.rand(1, 3, 64, 64)
    answers = []
    for way in ways:
        way.load_state_dict(ways[0].state_dict())
        with torch.no_grad():
            answers.append(way(image).features[0])
    assert all((a - b).abs().max() > 1e-3 for a, b in ((answers[0], answers[1]), (answers[1], answers[2])))


@pytest.mark.parametrize("fuse", ["nearest", "bilinear"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (37, 45), (65, 33)])
def test_any_size_trains_at_batch_1(fuse: str, size: tuple[int, int]) -> None:
    encoder = HRNet(2, **TINY, fuse=fuse, shallow=True)
    pyramid = encoder(torch.rand(1, 2, *size))
    for x, width, stride in zip(pyramid.features, encoder.channels, encoder.strides, strict=True):
        assert x.shape == (1, width, *(-(-length // stride) for length in size))
    assert encoder.channels == (64, 4, 8, 16, 32)
    assert encoder.strides == (2, 4, 8, 16, 32)
    sum(x.square().sum() for x in pyramid.features).backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in encoder.parameters())


def test_a_single_branch_is_the_first_of_all_and_leaves_nothing_unused() -> None:
    torch.manual_seed(0)
    full, single = HRNet(3, **TINY).eval(), HRNet(3, **TINY, single=True).eval()
    assert (single.channels, single.strides, single.pooled) == ((4,), (4,), (None,))
    assert single.state_dict().keys() < full.state_dict().keys()
    single.load_state_dict(full.state_dict(), strict=False)
    image = torch.rand(2, 3, 37, 45)
    (x,) = single(image).features
    assert torch.equal(x, full(image).features[0])
    x.square().sum().backward()
    assert all(value.grad is not None for value in single.parameters())


def test_convolutions_begin_small_and_norms_have_the_official_momentum() -> None:
    encoder = HRNet(3, **TINY)
    weights = torch.cat([part.weight.flatten() for part in encoder.modules() if isinstance(part, nn.Conv2d)])
    assert weights.std().item() == pytest.approx(0.001, rel=0.05)
    assert all(part.momentum == 0.1 for part in encoder.modules() if isinstance(part, nn.BatchNorm2d))


@pytest.mark.parametrize("channels", [1, 3])
def test_pretrained_weights_encode_a_grey_image_as_an_image_of_equal_channels(
    monkeypatch: pytest.MonkeyPatch, channels: int
) -> None:
    theirs = timm.create_model("hrnet_w18_small")
    asked: list[str] = []

    def of_timm(name: str) -> published.State:
        asked.append(name)
        return published.State(theirs.state_dict(), Path(name))

    monkeypatch.setattr(published, "of_timm", of_timm)
    encoder = HRNet(channels, 16, (1, 1, 1), 2, 1, 32, pretrained=True)
    assert asked == ["hrnet_w18_small"]
    grey = torch.rand(1, 1, 9, 9)
    with torch.no_grad():
        want = theirs.conv1(grey.expand(1, 3, 9, 9))  # pyright: ignore[reportCallIssue]
        torch.testing.assert_close(encoder.conv1(grey.expand(1, channels, 9, 9)), want)
    assert torch.equal(
        encoder.state_dict()["stage4.0.branches.3.1.conv2.weight"],
        theirs.state_dict()["stage4.0.branches.3.1.conv2.weight"],
    )
    assert encoder.mean is not None
    assert len(encoder.mean) == channels


def test_a_network_without_published_weights_is_refused() -> None:
    with pytest.raises(UserError, match=r"encoder\.pretrained: an HRNet of these widths has no published weights"):
        HRNet(3, **TINY, pretrained=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fuse": "cubic"}, r"encoder\.fuse: cubic; .*nearest, bilinear"),
        ({"fuse": "nearest", "align_corners": True}, r"encoder\.align_corners.*set encoder\.fuse=bilinear"),
        ({"modules": (1, 4)}, r"encoder\.modules=\[1, 4\].*three numbers"),
        ({"modules": (1, 0, 3)}, "all positive"),
        ({"blocks": 0}, "all positive"),
    ],
)
def test_forms_that_cannot_be_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        HRNet(3, **options)
