from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import timm
import torch
from timm.layers.conv2d_same import Conv2dSame

from densepred.encoder.timm import Timm
from densepred.hub import published
from densepred.types import UserError
from tests import cases
from tests.encoder import kept


def publishes(encoder: Timm, batch: int, channels: int, size: tuple[int, int]) -> None:
    features = encoder(torch.rand(batch, channels, *size)).features
    want = [
        (batch, c, -(-size[0] // s), -(-size[1] // s)) for c, s in zip(encoder.channels, encoder.strides, strict=True)
    ]
    assert [tuple(x.shape) for x in features] == want


@pytest.mark.parametrize(
    ("name", "strides"),
    [
        ("swin_tiny_patch4_window7_224", (4, 8, 16, 32)),  # maps come as (B, h, w, C)
        ("vit_tiny_patch16_224", (16, 16, 16)),  # all levels at one stride
        ("hrnet_w18_small", (2, 4, 8, 16, 32)),  # refuses odd sizes by itself
        ("convnext_atto", (4, 8, 16, 32)),  # drops the last pixels by itself
    ],
)
def test_families_that_differ_from_residual_networks(name: str, strides: tuple[int, ...]) -> None:
    encoder = Timm(4, name)
    assert encoder.strides == strides
    publishes(encoder, 1, 4, (37, 45))


def test_hrnet_gives_the_maps_of_its_branches() -> None:
    assert Timm(3, "hrnet_w18_small").channels == (64, 16, 32, 64, 128)


def test_one_value_per_channel_does_not_stop_training() -> None:
    publishes(Timm(3, "mobilenetv3_small_050"), 1, 3, (1, 1))


def test_features_of_whole_cells_equal_timms_own() -> None:
    torch.manual_seed(0)
    encoder = Timm(3, "resnet10t", output_stride=16).eval()
    theirs = timm.create_model("resnet10t", features_only=True, output_stride=16).eval()
    theirs.load_state_dict(encoder.body.state_dict())
    image = torch.rand(2, 3, 64, 96)
    assert encoder.strides == (2, 4, 8, 16, 16)
    with torch.no_grad():
        pairs = list(zip(encoder(image).features, theirs(image), strict=True))
    assert all(torch.equal(ours, peer) for ours, peer in pairs)


@pytest.mark.parametrize(("name", "stride"), [("tf_efficientnet_lite0", 32), ("tf_mobilenetv3_small_minimal_100", 16)])
def test_same_padding_is_a_constant_and_equals_timms_own(name: str, stride: int) -> None:
    """Padding by symbolic sizes kept torch.export busy for more than ten minutes."""
    torch.manual_seed(0)
    encoder = Timm(3, name, output_stride=stride).eval()
    theirs = timm.create_model(name, features_only=True, output_stride=stride).eval()
    theirs.load_state_dict(encoder.body.state_dict())
    kinds = [{type(part) for part in body.modules()} for body in (encoder.body, theirs)]
    assert [Conv2dSame in found for found in kinds] == [False, True]
    for size in ((64, 96), (96, 160)):
        image = torch.rand(1, 3, *size)
        with torch.no_grad():
            pairs = list(zip(encoder(image).features, theirs(image), strict=True))
        assert all(torch.equal(ours, peer) for ours, peer in pairs)


def test_statistics_come_with_pretrained_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    state = timm.create_model("resnet10t").state_dict()
    monkeypatch.setattr(published, "of_timm", lambda name: published.State(state, Path(name)))
    monkeypatch.setattr(
        timm, "get_pretrained_cfg", lambda name: SimpleNamespace(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    )
    encoder = Timm(3, "resnet10t", pretrained=True)
    assert (encoder.mean, encoder.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert Timm(1, "resnet10t", pretrained=True).mean == pytest.approx((0.2,))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": "local-dir:/tmp/x"}, "hold only a-z"),
        ({"name": "hf-hub:someone/model"}, "hold only a-z"),
        ({"name": "resnet35"}, "no such model; did you mean .*resnet34"),
        (
            {"name": "swin_tiny_patch4_window7_224", "output_stride": 16},
            "refuses .*set encoder.output_stride=null",
        ),
        ({"name": "maxvit_tiny_tf_224"}, "takes no image of 64x96.*choose a model that works at any size"),
    ],
)
def test_what_timm_cannot_do_is_refused_with_the_remedy(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        Timm(3, **options)


RECOMPUTED = ("vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "convnext_atto", "mobilenetv3_small_050")


@pytest.mark.parametrize("name", cases.few(RECOMPUTED, RECOMPUTED[:1]))
def test_checkpointing_of_timm_keeps_less_and_changes_no_number(name: str) -> None:
    """Each family has its own blocks, and its own wrapper of maps; norms of batches count each batch once."""
    torch.manual_seed(0)
    encoder = Timm(3, name, drop_path=0.2)
    other, image = copy.deepcopy(encoder), torch.rand(2, 3, 32, 32)
    other.checkpoint()
    sizes = []
    for one in (encoder, other):
        torch.manual_seed(1)
        pyramid, size = kept.measured(one, image)
        torch.stack([x.square().mean() for x in pyramid.features]).sum().backward()
        sizes.append(size)
    assert sizes[1] < sizes[0] / 2
    pairs = zip(encoder.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(a.grad, b.grad) for a, b in pairs if a.grad is not None and b.grad is not None)
    assert [a.grad is None for a in encoder.parameters()] == [b.grad is None for b in other.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(encoder.buffers(), other.buffers(), strict=True))


def test_checkpointing_that_would_compute_nothing_again_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Timm(3, "resnet18")
    monkeypatch.setattr(type(encoder.body), "set_grad_checkpointing", lambda self, on: None)
    with pytest.raises(UserError, match=r"encoder\.name=resnet18 \(nothing is computed again\)"):
        encoder.checkpoint()


def test_levels_keep_the_first_maps() -> None:
    encoder = Timm(3, "resnet10t", levels=2)
    assert encoder.strides == (2, 4)
    assert len(encoder(torch.rand(1, 3, 16, 24)).features) == 2
    with pytest.raises(UserError, match=r"encoder\.levels=9: resnet10t has fewer feature maps; give fewer, or null"):
        Timm(3, "resnet10t", levels=9)
    with pytest.raises(UserError, match=r"encoder\.levels=0: give 1 or more, or null"):
        Timm(3, "resnet10t", levels=0)
