"""The first U-Net: sizes, crops and parameters of the paper, and any image at its own size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densepred.build.instantiate import build
from densepred.model.unet_first import UNetFirst, _crop_indices
from densepred.types import HeadSpec, UserError

UPSAMPLES = sorted(path.stem for path in (Path(__file__).parents[2] / "configs" / "upsample").glob("*.yaml"))
Plain = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def make(plain: Plain) -> Callable[..., UNetFirst]:
    nodes: dict[str, dict[str, Any]] = {}

    def of(channels: int = 1, classes: int = 2, upsample: str = "transposed", **settings: Any) -> UNetFirst:
        if upsample not in nodes:
            nodes[upsample] = plain("model=unet_first", f"upsample={upsample}")["model"]
        heads = {"semantic": HeadSpec(classes, kind="classes")}
        statistics = {"mean": (0.5,) * channels, "std": (0.25,) * channels}
        return build(nodes[upsample] | settings, heads=heads, channels=channels, **statistics)

    return of


def by_hand(model: UNetFirst, image: Tensor) -> Tensor:
    """The paper's figure, line by line, without padding."""
    x, skips = (image - 0.5) / 0.25, []

    def convs(x: Tensor, block: nn.Module) -> Tensor:
        for conv in block.children():
            if isinstance(conv, nn.Conv2d):
                x = F.conv2d(x, conv.weight, conv.bias).clamp(min=0)
        return x

    for level in range(4):
        x = convs(x, model.downs[level])
        skips.append(x)
        x = x.unfold(2, 2, 2).unfold(3, 2, 2).amax((-2, -1))
    x = convs(x, model.downs[4])
    for step, crop in enumerate((4, 16, 40, 88)):
        up = model.rises[step].conv
        x = F.conv_transpose2d(x, up.weight, up.bias, stride=2)
        skip = skips.pop()[:, :, crop:-crop, crop:-crop]
        x = convs(torch.cat([skip, x], 1), model.ups[step])
    last = model.heads["semantic"]
    return torch.einsum("bchw,kc->bkhw", x, last.weight[:, :, 0, 0]) + last.bias[:, None, None]


@pytest.mark.parametrize(("channels", "classes", "count"), [(1, 2, 31_030_658), (3, 21, 31_033_045)])
def test_the_paper_s_parameters(make: Callable[..., UNetFirst], channels: int, classes: int, count: int) -> None:
    with torch.device("meta"):
        model = make(channels, classes)
    assert sum(p.numel() for p in model.parameters()) == count
    convs = [part for part in model.modules() if isinstance(part, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(convs) == 23  # as the paper counts them


def test_572_pixels_give_388_with_the_paper_s_sizes_and_crops(make: Callable[..., UNetFirst]) -> None:
    model = make(width=1).eval()
    sizes: dict[str, list[int]] = {"downs": [], "rises": []}
    for name, parts in (("downs", model.downs), ("rises", model.rises)):
        for part in parts:
            part.register_forward_hook(lambda _, __, out, name=name: sizes[name].append(out.shape[-1]))
    assert model.valid(torch.rand(1, 1, 572, 572))["semantic"][0].shape == (1, 2, 388, 388)
    assert sizes == {"downs": [568, 280, 136, 64, 28], "rises": [56, 104, 200, 392]}
    crops = [(a - b) // 2 for a, b in zip(reversed(sizes["downs"][:-1]), sizes["rises"], strict=True)]
    assert crops == [4, 16, 40, 88]


def test_without_padding_it_is_the_figure_of_the_paper(make: Callable[..., UNetFirst]) -> None:
    model, image = make(width=2).double().eval(), torch.rand(2, 1, 188, 220, dtype=torch.float64)
    have, want = model.valid(image)["semantic"][0], by_hand(model, image)
    assert have.shape == (2, 2, 4, 36)
    torch.testing.assert_close(have, want, rtol=1e-10, atol=1e-10)


def test_without_padding_it_takes_12_more_than_a_multiple_of_16_from_188_on(make: Callable[..., UNetFirst]) -> None:
    model = make(width=1).eval()
    for length in range(150, 240):
        image = torch.rand(1, 1, 188, length)
        if length % 16 == 12 and length >= 188:
            assert model.valid(image)["semantic"][0].shape[-1] == length - 184
        else:
            with pytest.raises(UserError, match="188 plus a multiple of 16"):
                model.valid(image)


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_other_depths_have_other_margins(make: Callable[..., UNetFirst], depth: int) -> None:
    model = make(width=1, depth=depth).eval()
    image = torch.rand(1, 1, model.smallest, model.smallest + model.step)
    height, width = model.valid(image)["semantic"][0].shape[-2:]
    assert (height, width) == (model.smallest - 2 * model.margin, height + model.step)
    assert height >= 1
    with pytest.raises(UserError, match="does not fit"):
        model.valid(image[..., : model.smallest - model.step, :])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (37, 45), (4, 20), (5, 21)])
def test_any_image_is_continued_by_its_mirror_image(make: Callable[..., UNetFirst], size: tuple[int, int]) -> None:
    model, image = make(width=1).double().eval(), torch.rand(1, 1, *size, dtype=torch.float64)
    below, right = (92 + (4 - n) % 16 for n in size)
    padded = torch.from_numpy(np.pad(image.numpy(), ((0, 0), (0, 0), (92, below), (92, right)), mode="reflect"))
    want = by_hand(model, padded)[..., : size[0], : size[1]]
    have = model(image)["semantic"][0]
    assert have.shape[-2:] == size
    torch.testing.assert_close(have, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("upsample", UPSAMPLES)
def test_every_upsampling_learns_at_an_odd_size(make: Callable[..., UNetFirst], upsample: str) -> None:
    model = make(3, upsample=upsample, width=4)
    answer = model(torch.rand(1, 3, 37, 45))["semantic"][0]
    assert answer.shape == (1, 2, 37, 45)
    answer.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.downs[0][0].weight.grad.any()


def test_cropped_indices_unpool_the_middle_of_the_map() -> None:
    pooled = torch.rand(2, 3, 24, 20)
    maxima, argmax = F.max_pool2d(pooled, 2, return_indices=True)
    middle = maxima[..., 2:-2, 3:-3]
    whole = F.pad(middle, (3, 3, 2, 2))
    want = F.max_unpool2d(whole, argmax, 2)[..., 4:-4, 6:-6]
    index = _crop_indices(argmax, pooled, middle)
    have = torch.zeros(2, 3, 16 * 8).scatter(2, index.flatten(2), middle.flatten(2)).view(2, 3, 16, 8)
    assert torch.equal(have, want)


def test_it_begins_with_the_deviations_of_he(make: Callable[..., UNetFirst]) -> None:
    torch.manual_seed(0)
    model = make(width=16)
    for block in (*model.downs, *model.ups):
        for conv in block:
            if isinstance(conv, nn.Conv2d):
                assert not conv.bias.any()
                if conv.weight.numel() > 20_000:
                    inputs = conv.weight[0].numel()
                    assert conv.weight.std().item() == pytest.approx((2 / inputs) ** 0.5, rel=0.03)


def test_dropout_acts_on_the_two_deepest_levels_in_training_only(make: Callable[..., UNetFirst]) -> None:
    torch.manual_seed(0)
    model, image = make(width=4), torch.rand(1, 1, 188, 188)
    seen: list[Tensor] = []
    model.dropout.register_forward_hook(lambda _, __, out: seen.append(out))
    model.valid(image)
    assert [x.shape[1] for x in seen] == [32, 64]
    assert all((x == 0).float().mean() > 0.45 for x in seen)
    model.eval()
    assert torch.equal(model.valid(image)["semantic"][0], model.valid(image)["semantic"][0])


def test_norms_are_at_hand(make: Callable[..., UNetFirst]) -> None:
    for norm in ("batch", "group"):
        model = make(width=4, norm=norm)
        assert model.downs[0][0].bias is None
        assert model(torch.rand(1, 1, 5, 5))["semantic"][0].isfinite().all()


def test_a_head_that_wants_a_coarser_map_is_refused(plain: Plain) -> None:
    node = plain("model=unet_first")["model"] | {"width": 1}
    with pytest.raises(UserError, match=r"'center' wants maps of stride 4.*choose model=unet"):
        build(node, heads={"center": HeadSpec(1, (4,))}, channels=1, mean=(0.0,), std=(1.0,))
