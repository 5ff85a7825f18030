"""The convolutional autoencoder: any encoder and size, a latent of any size, a decoder that reads only the latent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from densepred.build.instantiate import build
from densepred.errors import UserError
from densepred.model.autoencoder import Autoencoder
from densepred.types import HeadSpec

INFO: dict[str, Any] = {"heads": {"image": HeadSpec(3)}, "channels": 3, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}
PLAIN = ("encoder=plain", "encoder.widths=[4,6,8]")
SMALL: dict[str, tuple[str, ...]] = {
    "plain": PLAIN,
    "vgg16": ("encoder=vgg16", "encoder.width=0.0625"),
    "resnet18": ("encoder=resnet18",),
    "timm": ("encoder=timm", "encoder.name=resnet10t"),
}

Plain = Callable[..., dict[str, Any]]


def made(plain: Plain, *words: str, **info: Any) -> Autoencoder:
    torch.manual_seed(0)
    node = plain("task=autoencoder", *words)["model"]
    return build(node, **{**INFO, **info})


@pytest.mark.parametrize(
    ("encoder", "upsample"),
    [
        ("plain", "bilinear"),
        ("plain", "transposed"),
        ("vgg16", "nearest"),
        ("resnet18", "bilinear"),
        ("timm", "nearest"),
    ],
)
def test_any_encoder_and_size_goes_through_a_code_of_the_declared_size(
    plain: Plain, encoder: str, upsample: str
) -> None:
    model = made(plain, *SMALL[encoder], f"upsample={upsample}", "model.latent_channels=5").train()
    stride = model.stride
    for size in ((37, 45), (1, 70)):
        image = torch.rand(1, 3, *size)
        latent_channels = model.encode(image)
        assert latent_channels.shape == (1, 5, -(-size[0] // stride), -(-size[1] // stride))
        answer = model(image)["image"][-1]
        assert answer.shape == image.shape
    answer.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_the_output_depends_on_the_latent_alone(plain: Plain) -> None:
    model = made(plain, *PLAIN, "model.latent_channels=2").eval()
    image = torch.rand(2, 3, 24, 32)
    latent_channels = model.encode(image)
    assert torch.equal(model.decode(latent_channels, (24, 32)), model(image)["image"][-1])
    with torch.no_grad():
        model.squeeze.weight.zero_()
    blank = model(image)["image"][-1]
    assert torch.allclose(blank[0], blank[1])


def test_an_untrained_model_gives_nearly_the_mean_colour(plain: Plain) -> None:
    answer = made(plain, *PLAIN)(torch.rand(1, 3, 24, 32))["image"][-1]
    assert torch.allclose(answer.mean((0, 2, 3)), torch.tensor(INFO["mean"]), atol=0.05)


@pytest.mark.parametrize("channels", [1, 4])
def test_other_numbers_of_channels(plain: Plain, channels: int) -> None:
    info = {"heads": {"image": HeadSpec(channels)}, "channels": channels}
    model = made(plain, *PLAIN, **info, mean=(0.5,) * channels, std=(0.2,) * channels)
    assert model(torch.rand(2, channels, 9, 5))["image"][-1].shape == (2, channels, 9, 5)


def test_an_exact_number_of_values_is_the_code_of_a_whole_image(plain: Plain) -> None:
    model = made(plain, *PLAIN, "model.values=7", "data.crop=[21,34]")
    image = torch.rand(2, 3, 21, 34)
    assert model.encode(image).shape == (2, 7)
    assert model(image)["image"][-1].shape == image.shape
    with pytest.raises(UserError, match=r"image of 21x35: model\.values encodes images of 21x34 only; use transform"):
        model(torch.rand(2, 3, 21, 35))


def test_a_coarse_decoder_leaves_the_last_step_to_the_task(plain: Plain) -> None:
    model = made(plain, *PLAIN, "decoder.stride=2")
    assert model(torch.rand(1, 3, 21, 34))["image"][-1].shape == (1, 3, 11, 17)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("decoder=unet",), r"UNet joins levels of the encoder; set decoder=code, or decoder\.skips=false"),
        (("decoder.skips=true",), r"UNet joins levels of the encoder; set decoder=code, or decoder\.skips=false"),
        (("decoder=fpn", "decoder.stride=1"), "FPN joins levels of the encoder; set decoder=code"),
        (("upsample=unpool",), r"reads only the latent, no pooling indices.*; use upsample=bilinear or another"),
        (("decoder.widths=[4,4,4]",), r"decoder\.widths has 3 numbers; give this encoder 2"),
        (("model.values=7",), r"model\.values: 7 values per image need images of one size; set 'model\.size"),
        (("model.kernel=2",), r"model\.kernel: 2; give an odd number"),
    ],
)
def test_what_would_go_past_the_code_is_refused_with_the_remedy(
    plain: Plain, words: tuple[str, ...], message: str
) -> None:
    node = plain("task=autoencoder", *PLAIN, *words)["model"]
    with pytest.raises(UserError, match=message):
        build(node, **INFO)


def test_unpooling_is_refused_for_encoders_that_do_not_pool_too(plain: Plain) -> None:
    node = plain("task=autoencoder", "encoder=resnet18", "upsample=unpool")["model"]
    with pytest.raises(UserError, match="reads only the latent, no pooling indices"):
        build(node, **INFO)


def test_a_decoder_that_reads_the_deepest_level_alone_is_taken(plain: Plain) -> None:
    model = made(plain, *PLAIN, "decoder=deeplabv3", "decoder.width=8")
    assert model(torch.rand(2, 3, 24, 32))["image"][-1].shape == (2, 3, 6, 8)


def test_other_tasks_are_refused(plain: Plain) -> None:
    with pytest.raises(UserError, match="model=autoencoder gives an image back, and the task wants semantic; set task"):
        made(plain, *PLAIN, heads={"semantic": HeadSpec(5, kind="classes")})
