from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densepred.encoder.plain import Plain
from densepred.encoder.resnet import ResNet
from densepred.encoder.vgg import VGG
from densepred.model.fcn import FCN, Enlarge, offsets
from densepred.types import HeadSpec, UserError

HEADS = {"semantic": HeadSpec(3, kind="classes")}
PUBLISHED = {32: (19,), 16: (5, 27), 8: (5, 9, 31)}
"""Crops of score_pool4, score_pool3 and of the last enlargement in the authors' networks."""

CAFFE = partial(VGG, batch_norm=False, ceil_mode=True, width=0.0625)


def made(encoder: object = CAFFE, heads: dict[str, HeadSpec] | None = None, **options: Any) -> FCN:
    torch.manual_seed(0)
    return FCN(encoder, heads or HEADS, 3, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), **options)  # pyright: ignore


def randomise(model: nn.Module) -> None:
    for value in model.parameters():
        nn.init.normal_(value, std=0.3)


def authors(model: FCN, image: Tensor, stride: int, scales: tuple[float, float]) -> Tensor:
    """The network of the release, layer by layer, with its crops as they are written there."""
    x = (image - model.mean) / model.std
    pools: list[Tensor] = []
    first = True
    for layer in model.encoder.body["features"]:  # pyright: ignore
        if isinstance(layer, nn.MaxPool2d):
            x = F.max_pool2d(x, 2, 2, ceil_mode=True)
            pools.append(x)
        elif isinstance(layer, nn.Conv2d):
            x = F.conv2d(x, layer.weight, layer.bias, padding=100 if first else 1)
            first = False
        else:
            x = F.relu(x)
    fc6, fc7 = (part for part in model.fc.modules() if isinstance(part, nn.Conv2d))
    x = F.relu(F.conv2d(F.relu(F.conv2d(x, fc6.weight, fc6.bias)), fc7.weight, fc7.bias))
    scores, ups = list(model.heads["semantic"]), list(model.ups["semantic"])  # pyright: ignore
    x = F.conv2d(x, scores[0].weight, scores[0].bias)
    steps = {32: (), 16: ((5, 3),), 8: ((5, 3), (9, 2))}[stride]
    for i, (crop, pool) in enumerate(steps):
        x = F.conv_transpose2d(x, ups[i].conv.weight, stride=2)
        skip = F.conv2d(pools[pool] * scales[i], scores[i + 1].weight, scores[i + 1].bias)
        x = x + skip[..., crop : crop + x.shape[-2], crop : crop + x.shape[-1]]
    x = F.conv_transpose2d(x, ups[-1].conv.weight, stride=stride)
    last = {32: 19, 16: 27, 8: 31}[stride]
    return x[..., last : last + image.shape[-2], last : last + image.shape[-1]]


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_it_equals_the_authors_network_layer_by_layer(stride: int) -> None:
    scales = [0.01, 0.0001][: {32: 0, 16: 1, 8: 2}[stride]]
    model = made(stride=stride, width=6, padding=99, learn_upsampling=True, scales=scales or None).eval()
    randomise(model)
    image = torch.rand(2, 3, 41, 57)
    with torch.no_grad():
        want, have = authors(model, image, stride, (0.01, 0.0001)), model(image)["semantic"][-1]
    assert have.shape == (2, 3, 41, 57)
    assert (have - want).abs().max() <= 1e-5 * want.abs().max()


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_crops_are_those_of_the_release_and_within_every_map(stride: int) -> None:
    climb = [one for one in (32, 16, 8) if one >= stride] + [1]
    found = offsets(climb, 3)
    assert (*found[1:-1], 99 - found[-1]) == PUBLISHED[stride]
    for length in range(1, 1200):
        sizes, size = {}, length + 2 * 99
        for cell in (2, 4, 8, 16, 32):
            size = -(-size // 2)
            sizes[cell] = size
        x = sizes[32] - 6
        for cell, crop in zip(climb[1:-1], PUBLISHED[stride], strict=False):
            x = 2 * x + 2
            assert crop + x <= sizes[cell]
        assert PUBLISHED[stride][-1] + length <= (x - 1) * stride + 2 * stride


def test_fixed_filters_are_bilinear_interpolation() -> None:
    x = torch.rand(2, 3, 4, 5)
    for factor in (2, 3, 8):
        size = (4 * factor, 5 * factor)
        want = F.interpolate(x, size, mode="bilinear", align_corners=False)
        for learned in (False, True):
            have = Enlarge(3, factor, learned, valid=False)(x, size)
            torch.testing.assert_close(have, want, atol=1e-6, rtol=1e-5)


def test_the_published_filters() -> None:
    """4x4 at stride 2 on the diagonal of the channels, as the authors' `upsample_filt` prints it."""
    line = torch.tensor([0.25, 0.75, 0.75, 0.25])
    weight = Enlarge(2, 2, True, valid=True).conv.weight
    assert torch.equal(weight[0, 0], line[:, None] * line)
    assert torch.equal(weight[1, 1], line[:, None] * line)
    assert not weight[0, 1].any()
    assert not weight[1, 0].any()
    assert Enlarge(2, 2, True, valid=True).conv.bias is None
    kernels = [up.conv.kernel_size[0] for up in made(stride=8).ups["semantic"]]  # pyright: ignore
    assert kernels == [4, 4, 16]
    assert [made(stride=s).ups["semantic"][-1].conv.kernel_size[0] for s in (16, 32)] == [32, 64]  # pyright: ignore


def test_filters_learn_only_if_asked_to() -> None:
    for learned in (False, True):
        model = made(stride=8, learn_upsampling=learned)
        model(torch.rand(1, 3, 37, 45))["semantic"][-1].square().mean().backward()
        for up in model.ups["semantic"]:  # pyright: ignore
            assert (up.conv.weight.grad is not None) == learned


@pytest.mark.parametrize("padding", [0, 99])
@pytest.mark.parametrize("width", [None, 4])
def test_the_prediction_has_the_size_of_the_image(padding: int, width: int | None) -> None:
    model = made(stride=8, padding=padding, width=width).eval()
    with torch.no_grad():
        for size in ((1, 1), (1, 70), (31, 33), (64, 47), (48, 65)):
            assert model(torch.rand(1, 3, *size))["semantic"][-1].shape == (1, 3, *size)


@pytest.mark.parametrize(
    "encoder",
    [partial(ResNet, depth=18), partial(Plain, widths=(4, 4, 4, 6, 6, 8)), partial(VGG, width=0.0625)],
    ids=["resnet", "plain", "vgg"],
)
@pytest.mark.parametrize("padding", [0, 99])
@pytest.mark.parametrize("stride", [8, 32])
def test_any_encoder_takes_every_size(encoder: object, padding: int, stride: int) -> None:
    model = made(encoder, stride=stride, padding=padding).eval()
    with torch.no_grad():
        for height, width in ((32, 63), (37, 45), (58, 41)):
            answer = model(torch.rand(1, 3, height, width))["semantic"][-1]
            assert answer.shape == (1, 3, height, width)


@pytest.mark.parametrize("padding", [0, 99])
def test_maps_stay_over_the_pixels_that_they_come_from(padding: int) -> None:
    """A bright blob in an image of zeros is scored at its own location, by 1x1 scores of pooled brightness."""
    model = made(CAFFE, stride=8, padding=padding).eval()
    for part in model.encoder.modules():
        if isinstance(part, nn.Conv2d):  # each channel copies the first one of the layer before
            nn.init.zeros_(part.weight)
            nn.init.zeros_(part.bias)  # pyright: ignore
            part.weight.data[:, 0, 1, 1] = 1
    model.mean.zero_()
    for conv in model.heads["semantic"]:  # pyright: ignore
        nn.init.constant_(conv.weight, 1)
    image = torch.zeros(1, 3, 160, 192)
    image[..., 64:96, 96:128] = 1
    with torch.no_grad():
        answer = model(image)["semantic"][-1][0, 0]
    y, x = torch.meshgrid(torch.arange(160.0), torch.arange(192.0), indexing="ij")
    center = ((answer * y).sum() / answer.sum()).item(), ((answer * x).sum() / answer.sum()).item()
    # Padding by 99 moves the grid of poolings: a blob touches one cell more, on either side.
    assert center == pytest.approx((79.5, 111.5), abs=1e-3 if padding == 0 else 16)


def test_what_came_out_of_the_pooling_is_scored() -> None:
    model = made(stride=8).eval()
    image = torch.rand(1, 3, 40, 48)
    taken: list[Tensor] = []
    for conv in list(model.heads["semantic"])[1:]:  # pyright: ignore
        conv.register_forward_pre_hook(lambda module, given: taken.append(given[0]))
    with torch.no_grad():
        model(image)
        levels = model.encoder((image - model.mean) / model.std).features
    for have, level in zip(taken, (3, 2), strict=True):
        assert torch.equal(have, F.max_pool2d(levels[level], 2, ceil_mode=True))


def test_each_head_predicts_at_its_stride() -> None:
    heads = {"fine": HeadSpec(2), "middle": HeadSpec(3, (4,)), "coarse": HeadSpec(1, (16,)), "same": HeadSpec(1, (8,))}
    model = made(heads=heads, stride=8, learn_upsampling=True)
    outputs = model(torch.rand(1, 3, 37, 45))
    shapes = {name: tuple(stages[-1].shape[1:]) for name, stages in outputs.items()}
    assert shapes == {"fine": (2, 37, 45), "middle": (3, 10, 12), "coarse": (1, 3, 3), "same": (1, 5, 6)}
    assert len(model.heads["coarse"]) == 2  # pyright: ignore


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scales": [0.01]}, r"model\.scales has 1 numbers for 2 skips"),
        ({"kernel": 4}, r"model\.kernel: 4; give an odd number"),
        ({"padding": -1}, r"model\.padding: -1"),
        ({"stride": 0}, r"model\.stride: 0"),
        ({"heads": {"boxes": HeadSpec(4, (8, 16))}}, r"'boxes' reads several levels; .* model=fpn"),
        ({"heads": {"center": HeadSpec(1, (64,))}}, r"'center' wants a map of stride 64"),
        ({"heads": {"center": HeadSpec(1, (4,))}, "padding": 99}, r"padding: 99 is no multiple .* set 0 or 100"),
    ],
)
def test_what_cannot_be_is_refused_with_the_remedy(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        made(**options)


@pytest.mark.parametrize("padding", [1, 60])
def test_too_little_padding_is_refused(padding: int) -> None:
    with pytest.raises(UserError, match=r"model\.padding: \d+ is too little .* 40x40; give 99, or 0"):
        made(stride=8, padding=padding, width=4)(torch.rand(1, 3, 40, 40))


def test_the_paper_in_full_has_its_parameters() -> None:
    """VGG-16 without its classifier 14,714,688; fc6 102,764,544; fc7 16,781,312; scores of 21 classes; filters."""
    with torch.device("meta"):
        model = made(
            partial(VGG, batch_norm=False, ceil_mode=True),
            {"semantic": HeadSpec(21, kind="classes")},
            stride=8,
            width=4096,
            padding=99,
            learn_upsampling=True,
        )
    scores = 21 * (4096 + 512 + 256 + 3)
    filters = 21 * 21 * (16 + 16 + 256)
    have = sum(value.numel() for value in model.parameters())
    assert have == 14_714_688 + 102_764_544 + 16_781_312 + scores + filters
