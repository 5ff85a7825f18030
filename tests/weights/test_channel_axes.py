"""Every model of `configs/model` predicts the same for shared channels after its heads' channels changed places."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from densepred.build.instantiate import build
from densepred.cli import compose
from densepred.contracts import Model
from densepred.types import HeadSpec
from densepred.weights.coverage import copy_matching
from tests import cases, companions
from tests.conftest import composed

LEVELS = (8, 16, 32, 64, 128)
HEADS: dict[str, dict[str, HeadSpec]] = {
    "semantic": {"semantic": HeadSpec(4, kind="classes")},
    "panoptic": {"semantic": HeadSpec(4, kind="classes"), "center": HeadSpec(1), "offset": HeadSpec(2)},
    "detection_fcos": {
        "class": HeadSpec(4, LEVELS, prior=0.1),
        "distances": HeadSpec(4, LEVELS, positive=True),  # as many as classes, and none of them a class
        "centerness": HeadSpec(1, LEVELS),
    },
    "pose": {"heatmap": HeadSpec(4, (4,))},
    "detection_center": {
        "class": HeadSpec(2, (4,), prior=0.1),
        "size": HeadSpec(2, (4,), positive=True),
        "offset": HeadSpec(2, (4,)),
    },
    "openpose": {"paf": HeadSpec(6, (8,)), "heatmap": HeadSpec(4, (8,))},
}
NAMED = {"semantic", "class", "heatmap", "paf"}
PRESETS = [one for one in companions.options("model") if companions.task(one) in HEADS]

SIZES_ALONE = {
    "deeplabv3": "deeplabv3_multigrid",
    "deeplabv3_resnet101": "deeplabv3_resnet50",
    "fcn_resnet101": "fcn_resnet50",
    "fcos": "fcos_resnet50",
    "fcos_light": "fcos_resnet50",
    "hrnet": "hrnet_w48",
    "hrnet_w32": "hrnet_w48",
    "hrnet_pose": "hrnet_pose_w48",
    "hrnet_pose_small": "hrnet_pose_w48",
    "openpose": "openpose_light",
}
"""Presets that differ from another one in sizes or in the upsampling alone: their predictions are compared once."""
UNLIKE = {
    "center_detection",
    "deeplabv3_multigrid",
    "fcn8s",
    "fcos_hrnet",
    "hrnet_w48",
    "openpose_light",
    "panoptic_deeplab_light",
    "segformer",
    "unet",
}
"""Presets of which each has heads, decoders or upsamplings that the others have not; other ones are tried in
`make test-slow`."""
KINDS = [one for one in PRESETS if one.partition("/")[2] not in SIZES_ALONE]


def test_only_models_that_give_images_back_have_no_named_channels() -> None:
    left_out = set(companions.options("model")) - set(PRESETS)
    assert {companions.task(one) for one in left_out} == {"autoencoder"}


@pytest.mark.parametrize("preset", cases.few(KINDS, [one for one in KINDS if one.partition("/")[2] in UNLIKE]))
def test_permuted_channels_give_permuted_outputs(preset: str) -> None:
    heads = HEADS[companions.task(preset)]
    old, new = made(preset, heads), made(preset, {name: more(name, spec) for name, spec in heads.items()})
    scramble(old)
    before = {name: spec.channel_names() for name, spec in heads.items()}
    after = {name: others(name, names) for name, names in before.items()}
    coverage = copy_matching(new, old.state_dict(), before, after)
    assert coverage.conflicts == coverage.missing == coverage.unexpected == []
    image = torch.rand(2, 3, 64, 64)
    for mode in (False, True):
        expected, found = answers(old.train(mode), image), answers(new.train(mode), image)
        for name, names in after.items():
            assert len(expected[name]) == len(found[name])
            of = [before[name].index(one) for one in names if one in before[name]]
            to = [index for index, one in enumerate(names) if one in before[name]]
            for x, y in zip(expected[name], found[name], strict=True):
                torch.testing.assert_close(y[:, to], x[:, of], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("preset", cases.few(PRESETS, KINDS))
def test_every_dimension_that_grows_with_a_head_is_declared(preset: str) -> None:
    """The shapes of two models, one of them with more channels in a head, tell which dimensions these are."""
    heads = HEADS[companions.task(preset)]
    with torch.device("meta"):
        one = made(preset, heads)
        for name in NAMED & heads.keys():
            spec = replace(heads[name], channels=heads[name].channels + 1)
            wider = made(preset, {**heads, name: spec}).state_dict()
            grown = {
                (tensor, dim)
                for tensor, value in one.state_dict().items()
                for dim in range(value.ndim)
                if value.shape[dim] != wider[tensor].shape[dim]
            }
            declared = {
                (tensor, dim) for tensor, dims in one.channel_axes().items() for dim in dims if name in dims[dim]
            }
            assert grown == declared
            assert grown


def made(preset: str, heads: dict[str, HeadSpec]) -> Model:
    words = [preset.replace("/", "="), *companions.words(preset)]
    node: dict[str, Any] = compose.settings(composed(*words)).model
    return build(node, None, "model", heads=heads, channels=3, mean=[0.5] * 3, std=[0.5] * 3)


def more(name: str, spec: HeadSpec) -> HeadSpec:
    """One channel more in a head of names."""
    extra = int(grows(name))
    return HeadSpec(spec.channels + extra, spec.strides, spec.kind, spec.prior, spec.positive)


def others(name: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Reverse the names and add a new one, except joints and limbs: later stages read these."""
    added = ("new",) if grows(name) else ()
    return (names[-1], *added, *reversed(names[:-1])) if name in NAMED else names


def grows(name: str) -> bool:
    return name in NAMED - {"paf", "heatmap"}


def scramble(model: Model) -> None:
    """Give every channel of a head weights of its own, also where a head begins at zero."""
    generator = torch.Generator().manual_seed(0)
    state = model.state_dict()
    with torch.no_grad():
        for name in model.channel_axes():
            if state[name].is_floating_point() and not name.endswith(("running_mean", "running_var")):
                state[name].copy_(torch.randn(state[name].shape, generator=generator) / 8)


def answers(model: nn.Module, image: torch.Tensor) -> dict[str, list[torch.Tensor]]:
    torch.manual_seed(0)
    with torch.no_grad():
        return model(image)
