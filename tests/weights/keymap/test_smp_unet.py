"""segmentation_models.pytorch's U-Net and U-Net++ with random weights, through our names, say the same here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from densepred.build.instantiate import build
from densepred.types import HeadSpec
from densepred.weights import families

smp = pytest.importorskip("segmentation_models_pytorch", reason="a peer, of the extra `bench`")

SETTINGS = ("upsample=nearest", "decoder.widths=[256,128,64,32,16]", "decoder.narrow=false", "model.kernel=3")
UNUSED = 195  # parameters of squeeze and excitation in smp for a skip that does not exist


def randomise_statistics(model: nn.Module) -> None:
    """Draw running statistics: fresh ones would hide a misplaced norm."""
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.1, 0.1)  # pyright: ignore[reportArgumentType]
            nn.init.uniform_(part.running_var, 0.5, 1.5)  # pyright: ignore[reportArgumentType]


def count(model: nn.Module) -> int:
    return sum(value.numel() for value in model.parameters())


@pytest.mark.parametrize(
    ("name", "depth", "attention", "size"),
    [
        ("unet", 34, "none", (37, 45)),
        ("unet", 34, "scse", (64, 96)),
        ("unet", 50, "none", (64, 32)),
        ("unetplusplus", 34, "none", (64, 96)),
        ("unetplusplus", 34, "scse", (32, 64)),
    ],
)
def test_their_weights_give_their_outputs(
    plain: Callable[..., dict[str, Any]], name: str, depth: int, attention: str, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    make = {"unet": smp.Unet, "unetplusplus": smp.UnetPlusPlus}[name]
    asked = None if attention == "none" else attention
    theirs = make(f"resnet{depth}", encoder_weights=None, classes=5, decoder_attention_type=asked).eval()
    randomise_statistics(theirs)
    state = theirs.state_dict()
    assert [found for found in families.matching_families(state) if found.startswith("smp_unet")] == [f"smp_{name}"]
    words = (f"decoder={name}", f"encoder=resnet{depth}", f"decoder.attention={attention}", *SETTINGS)
    node = plain("model=encoder_decoder", *words)["model"]
    heads = {"semantic": HeadSpec(5, kind="classes")}
    model = build(node, heads=heads, channels=3, mean=(0.0,) * 3, std=(1.0,) * 3).eval()
    translated, extras = families.family(f"smp_{name}").rename(state)
    left = model.load_state_dict(translated, strict=False)
    assert left.missing_keys == ["mean", "std"]
    assert not left.unexpected_keys
    assert sum(state[key].numel() for key in extras) == count(theirs) - count(model) == (UNUSED if asked else 0)
    image = torch.rand(1, 3, *size)
    with torch.no_grad():
        want, have = theirs(image), model(image)["semantic"][-1]
    assert have.shape == want.shape
    assert (have - want).abs().max() <= 1e-5 * want.abs().max()
