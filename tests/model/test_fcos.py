"""FCOS's towers: levels in one row, shared weights, lengths above 0, priors, and encoders that round down."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from densepred.contracts import EncoderFactory
from densepred.decoder.fpn import FPN
from densepred.decoder.hrnet_v2p import HRNetV2p
from densepred.decoder.unet import UNet
from densepred.encoder.hrnet import HRNet
from densepred.encoder.plain import Plain
from densepred.encoder.resnet import ResNet
from densepred.model.encoder_decoder import EncoderDecoder
from densepred.model.fcos import FCOS
from densepred.types import HeadSpec, UserError
from densepred.upsample.bilinear import Bilinear
from densepred.upsample.nearest import Nearest

STRIDES = (8, 16, 32, 64)
HEADS = {
    "class": HeadSpec(3, STRIDES, prior=0.01),
    "distances": HeadSpec(4, STRIDES, positive=True),
    "centerness": HeadSpec(1, STRIDES, prior=0.5),
}
COARSE = {name: HeadSpec(spec.channels, (8, 16), prior=spec.prior) for name, spec in HEADS.items()}
PYRAMID = partial(FPN, upsample=Nearest, width=8, stride=8, bare=True, extra=1)
PLAIN = partial(Plain, widths=(4, 4, 4, 6, 6, 8))
TINY_HRNET = partial(HRNet, width=4, modules=(1, 1, 1), blocks=1, bottlenecks=1, bottleneck_width=4)
STATISTICS: dict[str, Any] = {"channels": 3, "mean": (0.5,) * 3, "std": (0.25,) * 3}


def made(encoder: EncoderFactory = PLAIN, decoder: Any = PYRAMID, **options: Any) -> FCOS:
    return FCOS(encoder, decoder, options.pop("heads", HEADS), **STATISTICS, depth=1, **options)


def cells(size: tuple[int, int]) -> int:
    return sum(-(-size[0] // s) * -(-size[1] // s) for s in STRIDES)


@pytest.mark.parametrize("size", [(64, 128), (37, 45), (32, 33), (65, 130)])
@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [
        (PLAIN, PYRAMID),
        (partial(ResNet, depth=18), PYRAMID),
        (TINY_HRNET, partial(HRNetV2p, upsample=Bilinear, width=8)),
    ],
)
def test_a_head_has_a_row_of_all_cells(encoder: EncoderFactory, decoder: Any, size: tuple[int, int]) -> None:
    """For encoders that round up, as ResNet and HRNet, and down, as the plain one."""
    model = made(encoder, decoder)
    outputs = model(torch.rand(2, 3, *size))
    assert list(outputs) == list(HEADS)
    for name, spec in HEADS.items():
        (answer,) = outputs[name]
        assert answer.shape == (2, spec.channels, cells(size))
    torch.stack([x.square().mean() for (x,) in outputs.values()]).sum().backward()
    towers = [*model.towers.parameters(), *model.heads.parameters(), *model.scales.parameters()]
    assert all(value.grad is not None and value.grad.isfinite().all() for value in towers)


def test_levels_are_in_the_order_of_the_strides_fine_to_coarse() -> None:
    model, image = made().eval(), torch.rand(1, 3, 64, 128)
    seen: list[tuple[int, ...]] = []
    model.towers[0].register_forward_hook(lambda module, given, answer: seen.append(answer.shape[-2:]))
    answer = model(image)["class"][0]
    finest = answer[..., : 8 * 16]
    other = {**HEADS, "class": HeadSpec(3, (8,), prior=0.01)}
    alone = made(heads=other)
    alone.load_state_dict(model.state_dict(), strict=False)
    with torch.no_grad():
        single = alone.eval()(image)["class"][0]
    assert single.shape == (1, 3, 8, 16), "a head on one level is a map"
    torch.testing.assert_close(finest.unflatten(-1, (8, 16)), single)


@pytest.mark.parametrize("positive", ["exp", "softplus", "relu"])
def test_lengths_are_never_negative_and_each_level_has_a_factor(positive: str) -> None:
    model = made(positive=positive).eval()
    torch.nn.init.normal_(model.heads["distances"].weight, std=2.0)  # pyright: ignore[reportArgumentType]
    image = torch.rand(1, 3, 64, 128)
    with torch.no_grad():
        plain = model(image)["distances"][0]
        model.scales["distances"][1] = 0
        other = model(image)["distances"][0]
    assert plain.min() >= 0
    assert plain.max() > 1
    changed = (plain != other).any(1)[0].split([128, 32, 8, 2])
    assert [bool(part.any()) for part in changed] == [False, True, False, False]
    assert made(scales=False).scales.keys() == set()


def test_classes_begin_at_their_prior() -> None:
    torch.manual_seed(0)  # of a hundred draws of the weights one is off by more
    for model in (made(), EncoderDecoder(PLAIN, PYRAMID, HEADS, **STATISTICS)):
        outputs = model.eval()(torch.rand(1, 3, 64, 64))
        assert outputs["class"][0].sigmoid().mean().item() == pytest.approx(0.01, rel=0.2)
        assert outputs["centerness"][0].sigmoid().mean().item() == pytest.approx(0.5, rel=0.05)
        assert outputs["distances"][0].mean().item() == pytest.approx(1, rel=0.2)


def test_a_hidden_convolution_stands_before_each_head_of_an_encoder_decoder() -> None:
    heads = {
        "class": HeadSpec(3, (8,), prior=0.1),
        "size": HeadSpec(2, (8,), positive=True),
        "row": HeadSpec(2, STRIDES),
    }
    model = EncoderDecoder(PLAIN, PYRAMID, heads, **STATISTICS, hidden=5, kernel=3)
    outputs = model(torch.rand(2, 3, 37, 45))
    assert outputs["class"][0].shape == (2, 3, 5, 6)
    assert outputs["row"][0].shape == (2, 2, cells((37, 45)))
    assert outputs["size"][0].min() > 0
    names = dict(model.named_parameters())
    assert names["heads.class.hidden.0.0.weight"].shape == (5, 8, 3, 3)
    assert names["heads.class.convs.0.weight"].shape == (3, 5, 3, 3)
    plain = EncoderDecoder(PLAIN, PYRAMID, heads, **STATISTICS)
    assert not [name for name in plain.state_dict() if "hidden" in name]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"towers": [["class"], ["distances"]]}, r"model\.towers holds class, distances.*give each head one tower"),
        ({"towers": [["class", "size"], ["distances", "centerness"]]}, r"model\.towers"),
        ({"positive": "exponential"}, "choose one of exp, softplus, relu"),
        ({"heads": COARSE, "encoder": PLAIN, "decoder": partial(UNet, upsample=Nearest)}, "decoder=fpn"),
        ({"decoder": partial(PYRAMID, extra=0)}, "wants a map of stride 64"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_remedy(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        made(**options)
