"""The published network's size, its stages, and any encoder before them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from densepred.build.instantiate import build
from densepred.contracts import EncoderFactory
from densepred.encoder.plain import Plain
from densepred.encoder.resnet import ResNet
from densepred.encoder.vgg import VGG
from densepred.errors import UserError
from densepred.model.openpose import Dilated, OpenPose
from densepred.types import HeadSpec

COCO = {"paf": HeadSpec(38, (8,)), "heatmap": HeadSpec(19, (8,))}
SMALL: dict[str, Any] = {"stages": 3, "features": (12, 8), "width": 8, "first_hidden": 16}
FRONT = partial(VGG, depth=19, convolutions=10, batch_norm=False, width=0.0625)


def made(encoder: EncoderFactory = FRONT, heads: dict[str, HeadSpec] = COCO, **options: Any) -> OpenPose:
    torch.manual_seed(0)
    return OpenPose(encoder, heads, 3, (0.5,) * 3, (0.25,) * 3, **(SMALL | options))


def published() -> int:
    """Weights and biases of the layers of pose_deploy_linevec.prototxt, (in, out, kernel)."""
    front = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), *[(256, 256)] * 3, (256, 512), (512, 512)]
    layers = [(a, b, 3) for a, b in (*front, (512, 256), (256, 128))]
    for out in (38, 19):
        layers += [*[(128, 128, 3)] * 3, (128, 512, 1), (512, out, 1)]
        layers += [(185, 128, 7), *[(128, 128, 7)] * 4, (128, 128, 1), (128, out, 1)] * 5
    return sum(a * b * k * k + b for a, b, k in layers)


def test_the_preset_has_exactly_the_parameters_of_the_published_model(plain: Callable[..., dict[str, Any]]) -> None:
    node = plain("task=openpose", "model=openpose")["model"]
    with torch.device("meta"):
        model = build(node, heads=COCO, channels=3, mean=(0.5,) * 3, std=(1.0,) * 3)
    assert sum(value.numel() for value in model.parameters()) == published() == 52_311_446


def test_training_gives_all_stages_and_evaluation_the_prediction() -> None:
    model, image = made(), torch.rand(2, 3, 37, 45)
    stages = model(image)
    assert [[tuple(x.shape) for x in stages[name]] for name in COCO] == [[(2, 38, 5, 6)] * 3, [(2, 19, 5, 6)] * 3]
    with torch.no_grad():
        answer = model.eval()(image)
    assert all(len(answer[name]) == 1 and torch.equal(answer[name][0], stages[name][-1]) for name in COCO)


def test_a_later_stage_reads_fields_maps_and_features_in_this_order() -> None:
    model = made(norm="none", stages=2)
    seen: list[torch.Tensor] = []
    model.stages[1].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    first = model(torch.rand(1, 3, 16, 24))
    assert seen[0].shape == (1, 38 + 19 + 8, 2, 3)
    assert torch.equal(seen[0][:, :38], first["paf"][0])
    assert torch.equal(seen[0][:, 38:57], first["heatmap"][0])


def test_pruning_predicts_by_an_earlier_stage_and_trains_them_all() -> None:
    model, image = made(), torch.rand(1, 3, 24, 24)
    stages = model(image)
    model.skip_stages(2)
    assert len(model(image)["paf"]) == 3
    assert torch.equal(model.eval()(image)["paf"][0], stages["paf"][0])
    with pytest.raises(UserError, match="give 0 to"):
        model.skip_stages(3)


@pytest.mark.parametrize("options", [{}, {"shared": True, "block": "dilated"}, {"block": "separable", "norm": "batch"}])
@pytest.mark.parametrize(
    "encoder", [FRONT, partial(Plain, widths=(4, 4, 6, 6, 8)), partial(ResNet, depth=18, output_stride=16)]
)
def test_every_front_and_block_learns_from_odd_images(encoder: EncoderFactory, options: dict[str, Any]) -> None:
    model = made(encoder, **options)
    outputs = model(torch.rand(2, 3, 37, 45))
    assert all(x.shape[-2:] == (5, 6) for stages in outputs.values() for x in stages)
    torch.stack([x.square().mean() for stages in outputs.values() for x in stages]).sum().backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in model.parameters())
    assert model.eval()(torch.rand(1, 3, 1, 3))["paf"][0].shape == (1, 38, 1, 1)


def test_what_is_padded_does_not_move_the_prediction() -> None:
    """An image and the same with its mean around it, at the right and below, are one to the model."""
    model, image = made().eval(), torch.rand(1, 3, 37, 45)
    padded = torch.full((1, 3, 40, 48), 0.5)
    padded[..., :37, :45] = image
    assert torch.equal(model(image)["paf"][0], model(padded)["paf"][0])


def test_reversed_channels_keep_their_own_mean_and_deviation() -> None:
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.6)
    model = OpenPose(FRONT, COCO, 3, mean, std, stages=1, features=[4], width=4, first_hidden=4, bgr=True).eval()
    seen: list[torch.Tensor] = []
    model.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    image = torch.rand(1, 3, 8, 8)
    model(image)
    want = torch.stack([(image[:, c] - mean[c]) / std[c] for c in (2, 1, 0)], 1)
    torch.testing.assert_close(seen[0], want)


def test_a_dilated_block_has_the_field_of_view_of_its_kernel() -> None:
    block, image = Dilated(1, 1, 7, "none", "none"), torch.zeros(1, 1, 21, 21, requires_grad=True)
    for part in block.modules():
        if isinstance(part, torch.nn.Conv2d):
            torch.nn.init.ones_(part.weight)
    block(image)[0, 0, 10, 10].backward()
    assert image.grad is not None
    assert image.grad[0, 0].any(0).nonzero().flatten().tolist() == list(range(7, 14))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"heads": {"a": HeadSpec(1, (8,)), "b": HeadSpec(1, (4,))}}, "one stride"),
        ({"heads": {"a": HeadSpec(1, (64,))}}, "do not lead"),
        ({"stages": 0}, r"model\.stages"),
        ({"kernel": 4}, "odd"),
        ({"features": ()}, r"model\.features"),
        ({"block": "dense"}, "plain"),
        ({"depth": 0}, "1 or more"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_remedy(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        made(**wrong)
