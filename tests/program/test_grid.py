"""Every encoder with every decoder and every upsampling trains a step on one odd image, or is refused with the remedy.

`make test` tries every part once beside the first of the other kinds; `make test-slow` tries all pairs and triples.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
import yaml
from torch.nn import functional as F

from densepred.build.instantiate import build
from densepred.contracts import Model
from densepred.types import HeadSpec, UserError
from tests import cases
from tests.conftest import REPOSITORY

SIZE = (37, 45)
CLASSES = 3
HEADS = {"semantic": HeadSpec(CLASSES, kind="classes"), "offset": HeadSpec(2)}

# One of each family, as narrow as it goes.
ENCODERS: dict[str, dict[str, Any]] = {
    "plain": {"widths": [4, 4, 8, 8, 8]},
    "vgg16": {"width": 0.0625},
    "resnet18": {},
    "timm": {"name": "resnet10t"},
    "mit_b0": {"widths": [8, 8, 10, 16], "depths": [1, 1, 1, 1]},
    "hrnet_w18_small": {"width": 4, "blocks": 1, "bottleneck_width": 8},
}


def options(group: str) -> list[str]:
    """The options of a group that are components of their own, and not settings of another option."""
    files = sorted((REPOSITORY / "configs" / group).glob("*.yaml"))
    return [file.stem for file in files if "_target_" in file.read_text(encoding="utf-8")]


POOLING = ("plain", "vgg16")
AT_ONCE = {("plain", "deeplabv3plus"), ("plain", "segformer")}  # pairs that rise by more than 2 at once
AT_ONCE |= {("vgg16", decoder) for decoder in ("deeplabv3plus", "segformer", "lraspp", "panoptic_deeplab")}
NARROW = {"width": 8, "pyramid_width": 8}


@cache
def takes_upsample(decoder: str) -> bool:
    return "upsample" in yaml.safe_load((REPOSITORY / "configs" / "decoder" / f"{decoder}.yaml").read_text())


DECODERS, UPSAMPLES = options("decoder"), options("upsample")
RISING = [decoder for decoder in DECODERS if takes_upsample(decoder)]  # to the others no upsampling makes a difference
PAIRS = sorted(
    {(e, d, "bilinear") for e in ENCODERS for d in DECODERS}
    | {(e, "unet", "unpool") for e in ENCODERS}  # the only one that takes more of an encoder than its levels
    | {("plain", d, u) for d in RISING for u in UPSAMPLES}
)
FIRST = {"plain", "unet", "bilinear"}
QUICK = [pair for pair in PAIRS if len(FIRST.difference(pair)) <= 1 or pair[1:] == ("unet", "unpool")]
TRIPLES = sorted(set(itertools.product(ENCODERS, RISING, UPSAMPLES)) - set(PAIRS))


@pytest.fixture(scope="module")
def make(plain: Callable[..., dict[str, Any]]) -> Callable[[str, str, str], Model]:
    """`make(encoder, decoder, upsample)`: the model, every option composed once."""

    @cache
    def node(group: str, name: str) -> dict[str, Any]:
        return plain(f"{group}={name}")[group]

    def made(encoder: str, decoder: str, upsample: str) -> Model:
        torch.manual_seed(0)
        parts = {"encoder": node("encoder", encoder) | ENCODERS[encoder], "decoder": dict(node("decoder", decoder))}
        if "upsample" in parts["decoder"]:
            parts["decoder"]["upsample"] = node("upsample", upsample)
        parts["decoder"] |= {key: value for key, value in NARROW.items() if key in parts["decoder"]}
        whole = {**node("model", "encoder_decoder"), **parts}
        return build(whole, None, "model", heads=HEADS, channels=3, mean=(0.5,) * 3, std=(0.25,) * 3)

    return made


def a_step(model: Model) -> None:
    """Check that one training step changes every parameter from the first layer to the head."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    ends = [next(model.encoder.parameters()), *model.heads.parameters()]  # pyright: ignore
    before = [value.detach().clone() for value in ends]
    outputs = model.train()(torch.rand(1, 3, *SIZE))
    (logits,), (offset,) = (outputs[name] for name in HEADS)
    assert offset.shape == (1, 2, *logits.shape[-2:])
    loss = F.cross_entropy(F.interpolate(logits, SIZE, mode="bilinear"), torch.randint(CLASSES, (1, *SIZE)))
    loss = loss + offset.square().mean()
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(value).all() for value in model.parameters())
    assert not any(torch.equal(old, new) for old, new in zip(before, ends, strict=True))


def check(make: Callable[[str, str, str], Model], encoder: str, decoder: str, upsample: str) -> None:
    if refused(encoder, decoder, upsample):
        with pytest.raises(UserError, match=r"^upsample=unpool .*upsample=bilinear"):
            make(encoder, decoder, upsample)
    else:
        a_step(make(encoder, decoder, upsample))


def refused(encoder: str, decoder: str, upsample: str) -> bool:
    """Return True if the design refuses it: unpooling for a level that is not one 2x2 max pooling above the other."""
    if upsample != "unpool" or not takes_upsample(decoder):
        return False
    return encoder not in POOLING or (encoder, decoder) in AT_ONCE


@pytest.mark.parametrize(
    ("encoder", "decoder", "upsample"),
    [pair if pair in QUICK else cases.slow(pair) for pair in PAIRS],
    ids=map("-".join, PAIRS),
)
def test_a_pair_trains_a_step_or_names_the_remedy(make: Any, encoder: str, decoder: str, upsample: str) -> None:
    check(make, encoder, decoder, upsample)


@pytest.mark.slow
@pytest.mark.parametrize(("encoder", "decoder", "upsample"), TRIPLES, ids=map("-".join, TRIPLES))
def test_a_triple_trains_a_step_or_names_the_remedy(make: Any, encoder: str, decoder: str, upsample: str) -> None:
    check(make, encoder, decoder, upsample)
