"""Contract of every option of configs/encoder, at odd sizes and for any number of channels."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from densepred.build.instantiate import build
from densepred.contracts import Encoder
from densepred.encoder.activation_checkpointing import Checkpointed
from densepred.types import Pyramid
from tests import cases, companions
from tests.encoder import kept

CONFIGS = Path(__file__).parents[2] / "configs" / "encoder"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
DEEP = {"resnet34", "resnet50", "resnet101", "resnet50_os16", "resnet50_os8", "resnet101_os8", "resnet101_multigrid"}
KINDS = [name for name in NAMES if f"encoder/{name}" not in companions.SIZES_ALONE]

Make = Callable[[str, int], Encoder]


@pytest.fixture(scope="module")
def make(plain: Callable[..., dict[str, Any]]) -> Make:
    """`make(name, channels)`: the encoder of a name, composed once, narrow where it can be."""
    node = cache(lambda name: plain(f"encoder={name}", *companions.narrow(f"encoder/{name}"))["encoder"])

    def made(name: str, channels: int) -> Encoder:
        torch.manual_seed(0)
        return build(node(name))(in_channels=channels)

    return made


def check(encoder: Encoder, pyramid: Pyramid, batch: int, size: tuple[int, int]) -> None:
    assert len(encoder.channels) == len(encoder.strides) == len(encoder.pooled) == len(pyramid.features)
    levels = zip(pyramid.features, encoder.channels, encoder.strides, strict=True)
    for feature, channels, stride in levels:
        assert feature.shape[:2] == (batch, channels)
        for length, whole in zip(feature.shape[-2:], size, strict=True):
            assert length in (whole // stride, -(-whole // stride))
    for i, (indices, pooled) in enumerate(zip(pyramid.indices, encoder.pooled, strict=True)):
        assert (indices is None) == (pooled is None)
        if indices is not None:
            assert indices.shape[1] == pooled == encoder.channels[i - 1]
            assert int(indices.max()) < pyramid.features[i - 1][0, 0].numel()


@pytest.mark.parametrize("name", cases.few(NAMES, KINDS))
def test_levels_are_as_published_and_all_of_them_learn(make: Make, name: str) -> None:
    encoder = make(name, 3)
    for batch, size in ((1, (37, 45)), (2, (64, 64))):
        if name in DEEP and batch == 2:
            encoder.eval()
        pyramid = encoder(torch.rand(batch, 3, *size))
        check(encoder, pyramid, batch, size)
    torch.stack([feature.float().square().mean() for feature in pyramid.features]).sum().backward()
    silent = [key for key, value in encoder.named_parameters() if value.grad is None]
    assert not silent


@pytest.mark.parametrize("name", cases.few([name for name in NAMES if name not in DEEP], set(KINDS) - DEEP))
@pytest.mark.parametrize("channels", cases.few([1, 6], [6]))
def test_images_of_any_number_of_channels_are_read(make: Make, name: str, channels: int) -> None:
    encoder = make(name, channels)
    check(encoder, encoder(torch.rand(1, channels, 37, 45)), 1, (37, 45))


@pytest.mark.parametrize("name", cases.few([name for name in NAMES if name not in DEEP], set(KINDS) - DEEP))
def test_a_tiny_image_works(make: Make, name: str) -> None:
    """Poolings that would leave nothing of it see its continuation, so that its levels are those of the least size."""
    encoder = make(name, 3)
    least = encoder.strides[-1]
    rounds_up = not all(encoder.pooled[1:]) or len(encoder.pooled) == 1 or name == "vgg16_caffe"
    check(encoder, encoder(torch.rand(1, 3, 1, 1)), 1, (1, 1) if rounds_up else (least, least))
    check(encoder, encoder(torch.rand(1, 3, least, least)), 1, (least, least))


@pytest.mark.parametrize("name", NAMES)
def test_it_builds_without_memory(make: Make, name: str) -> None:
    with torch.device("meta"):
        encoder = make(name, 3)
    assert all(value.is_meta for value in encoder.state_dict().values())


FAMILIES = {"plain_residual", "mit_b0", "resnet18", "vgg16"}


@pytest.mark.parametrize("name", cases.few(NAMES, FAMILIES))
def test_checkpointing_keeps_less_and_changes_no_number(make: Make, name: str) -> None:
    """Gradients, running statistics and random numbers are equal in every bit; what the backward pass keeps shrinks."""
    image = torch.rand(2, 3, 64, 64)
    runs = []
    for checkpointing in (False, True):
        encoder = make(name, 3)
        assert isinstance(encoder, Checkpointed)
        if checkpointing:
            encoder.checkpoint()
        torch.manual_seed(1)
        pyramid, size = kept.measured(encoder, image)
        torch.stack([feature.float().square().mean() for feature in pyramid.features]).sum().backward()
        gradients = [weight.grad for weight in encoder.parameters() if weight.grad is not None]
        runs.append((size, [*pyramid.features, *gradients, *encoder.buffers(), torch.get_rng_state()]))
    (before, expected), (after, found) = runs
    assert after < before
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
