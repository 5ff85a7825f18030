"""Two decoders: which head reads which, and the published numbers of parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from densepred.build.instantiate import build
from densepred.contracts import Decoder
from densepred.decoder.panoptic_deeplab import shallow_levels
from densepred.types import HeadSpec, UserError

HEADS = {"semantic": HeadSpec(19, kind="classes"), "center": HeadSpec(1), "offset": HeadSpec(2)}
INFO: dict[str, Any] = {"channels": 3, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}
Plain = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("words", "published"),
    [
        (["model.value_head_width=128"], 31_489_894),  # output stride 16, of bowenc0221/panoptic-deeplab
        (
            [
                *("encoder=resnet50", "decoder.low_widths=[128,64,32]"),
                *("model.value_decoder.low_widths=[64,32,16]", "model.value_head_width=32"),
            ],
            31_800_838,
        ),
    ],
)
def test_decoders_and_heads_have_the_published_parameters(plain: Plain, words: list[str], published: int) -> None:
    """All except the norm of the pooled branch of each pyramid, which the published code leaves out."""
    with torch.device("meta"):
        model = build(plain("model=panoptic_deeplab", *words)["model"], heads=HEADS, **INFO)
    own = sum(v.numel() for name, v in model.named_parameters() if not name.startswith("encoder."))
    assert own == published + 2 * 2 * 256


@pytest.mark.parametrize("encoder", ["plain", "resnet18", "hrnet_w18_small"])
def test_any_encoder_predicts_at_the_stride_of_its_finest_shallow_level(plain: Plain, encoder: str) -> None:
    model = build(plain("model=panoptic_deeplab_light", f"encoder={encoder}")["model"], heads=HEADS, **INFO)
    outputs = model(torch.rand(1, 3, 65, 97))
    size = (16, 24) if encoder == "plain" else (17, 25)  # max pooling rounds down
    assert {name: tuple(stages[0].shape) for name, stages in outputs.items()} == {
        name: (1, spec.channels, *size) for name, spec in HEADS.items()
    }
    sum(stages[0].square().sum() for stages in outputs.values()).backward()
    assert all(value.grad is not None for value in model.parameters())


def test_heads_of_a_stride_have_a_location_for_the_last_pixels_too(plain: Plain) -> None:
    heads = {"center": HeadSpec(1, (4,)), "semantic": HeadSpec(3, kind="classes")}
    model = build(plain("model=panoptic_deeplab_light", "encoder=plain")["model"], heads=heads, **INFO)
    outputs = model(torch.rand(1, 3, 65, 97))
    assert outputs["center"][0].shape == (1, 1, 17, 25)
    assert outputs["semantic"][0].shape == (1, 3, 16, 24)


def test_centers_do_not_move_the_decoder_of_classes(plain: Plain) -> None:
    model = build(plain("model=panoptic_deeplab_light", "encoder=plain")["model"], heads=HEADS, **INFO)
    outputs = model(torch.rand(2, 3, 64, 64))
    (outputs["center"][0].sum() + outputs["offset"][0].sum()).backward()
    touched = {name.split(".")[0] for name, v in model.named_parameters() if v.grad is not None and v.grad.any()}
    assert touched == {"encoder", "value_decoder", "heads"}


def test_a_decoder_that_no_head_reads_is_left_out(plain: Plain) -> None:
    model = build(plain("model=panoptic_deeplab_light")["model"], heads={"semantic": HEADS["semantic"]}, **INFO)
    assert isinstance(model.decoder, Decoder)
    assert model.value_decoder is None
    assert list(model(torch.rand(1, 3, 64, 64))) == ["semantic"]


def test_heads_on_several_levels_are_refused_with_the_remedy(plain: Plain) -> None:
    node = plain("model=panoptic_deeplab_light")["model"]
    for strides in ((8, 16), (16,)):
        with pytest.raises(UserError, match=r"predicts at one of 4; choose another task or model=fpn"):
            build(node, heads={"center": HeadSpec(1, strides)}, **INFO)


@pytest.mark.parametrize(
    ("strides", "widths", "want"),
    [
        ((2, 4, 8, 16, 16), [64, 32], {2: 64, 1: 32}),  # ResNet at 16: res3 and res2, as published
        ((2, 4, 8, 16, 32), [128, 64, 32], {3: 128, 2: 64, 1: 32}),  # at 32: res4, res3, res2
        ((2, 4, 8, 8, 8), [64, 32], {2: 64, 1: 32}),
        ((1, 2, 4, 8, 16), [64, 32], {3: 64, 2: 32}),
        ((4, 8, 16, 32), [128, 64, 32], {2: 128, 1: 64, 0: 32}),
        ((8, 16, 32), [64, 32], {0: 32}),
        ((1, 2), [64, 32], {0: 32}),
    ],
)
def test_shallow_levels_are_those_of_twice_the_stride_each(
    strides: tuple[int, ...], widths: list[int], want: dict[int, int]
) -> None:
    levels, kept = shallow_levels(strides, 4, widths)
    assert dict(zip(levels, kept, strict=True)) == want
    assert levels == sorted(levels, reverse=True)


def test_an_encoder_of_one_level_is_refused() -> None:
    with pytest.raises(UserError, match="two levels or more"):
        shallow_levels((16,), 4, [64])
