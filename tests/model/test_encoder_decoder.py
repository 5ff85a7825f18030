from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from densepred.contracts import Decoder, Encoder
from densepred.decoder.deeplabv3 import DeepLabV3
from densepred.decoder.fpn import FPN
from densepred.decoder.unet import UNet
from densepred.encoder.plain import Plain
from densepred.encoder.resnet import ResNet
from densepred.model.encoder_decoder import EncoderDecoder
from densepred.types import HeadSpec, Pyramid, UserError
from densepred.upsample.nearest import Nearest

SMALL = partial(Plain, widths=(4, 6, 8, 10))


class Through(Encoder):
    """Encoder or decoder that returns its input."""

    channels, strides, pooled = (2,), (1,), (None,)
    mean, std = None, None

    def __init__(self, in_channels: int, pretrained: bool = False) -> None:
        super().__init__()
        if pretrained:
            self.mean, self.std = (0.1, 0.2), (1.0, 2.0)

    def forward(self, image: Tensor) -> Pyramid:
        return Pyramid([image], [None])


class Last(Decoder):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.channels, self.strides = encoder.channels, encoder.strides

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        return [*pyramid.features]


def made(encoder: object, decoder: object, channels: int = 3, **heads: HeadSpec) -> EncoderDecoder:
    statistics = {"mean": (0.5,) * channels, "std": (0.25,) * channels}
    return EncoderDecoder(encoder, decoder, heads, channels, **statistics)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("pretrained", "mean", "std"), [(False, [0.5, 0.5], [0.25, 0.25]), (True, [0.1, 0.2], [1, 2])])
def test_the_input_is_normalised_by_the_statistics_of_the_weights_if_they_have_any(
    pretrained: bool, mean: list[float], std: list[float]
) -> None:
    model = made(partial(Through, pretrained=pretrained), Last, 2, value=HeadSpec(2))
    with torch.no_grad():
        model.heads["value"].convs[0].weight.copy_(torch.eye(2)[..., None, None])  # pyright: ignore
    image = torch.rand(2, 2, 5, 7)
    want = (image - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    torch.testing.assert_close(model(image)["value"][-1], want)
    assert {"mean", "std"} <= set(model.state_dict())
    assert not {"mean", "std"} & set(dict(model.named_parameters()))


@pytest.mark.parametrize("size", [(37, 45), (64, 64), (1, 1), (33, 8)])
def test_a_map_of_full_size_is_of_the_images_size(size: tuple[int, int]) -> None:
    model = made(partial(ResNet, depth=18), partial(UNet, upsample=Nearest), semantic=HeadSpec(3, kind="classes"))
    assert model(torch.rand(1, 3, *size))["semantic"][-1].shape == (1, 3, *size)


def test_each_head_reads_the_map_of_its_stride() -> None:
    model = made(SMALL, partial(UNet, upsample=Nearest), fine=HeadSpec(2), coarse=HeadSpec(3, (4,)))
    outputs = model(torch.rand(2, 3, 40, 48))
    assert outputs["fine"][-1].shape == (2, 2, 40, 48)
    assert outputs["coarse"][-1].shape == (2, 3, 10, 12)


@pytest.mark.parametrize("decoder", [partial(UNet, upsample=Nearest), partial(FPN, upsample=Nearest, width=8)])
def test_a_coarse_head_has_a_location_for_the_last_pixels_too(decoder: object) -> None:
    """The codec takes location i for the pixels from 4 i on: fewer would be stretched to ceil(size / 4)."""
    model = made(SMALL, decoder, size=HeadSpec(2, (4,)))
    found = model(torch.rand(1, 3, 35, 33))["size"][-1]
    assert found.shape == (1, 2, 9, 9)  # max pooling leaves 8 x 8
    assert torch.equal(found[:, :, 8], found[:, :, 7])
    assert torch.equal(found[..., 8], found[..., 7])


@pytest.mark.parametrize("strides", [(1,), (4,), (2, 4)])
@pytest.mark.parametrize("where", ["model", "decoder"])
def test_dropout_acts_on_the_maps_that_heads_read(where: str, strides: tuple[int, ...]) -> None:
    decoder = partial(UNet, upsample=Nearest, dropout=0.5 * (where == "decoder"))
    model = made(partial(SMALL, norm="none"), decoder, value=HeadSpec(2, strides))
    model.dropout.p = 0.5 * (where == "model")
    image = torch.rand(1, 3, 16, 16)
    lengths = [(16 // stride) ** 2 for stride in strides]
    one, other = (model(image)["value"][-1].flatten(2).split(lengths, 2) for _ in range(2))
    dropped = [not torch.equal(a, b) for a, b in zip(one, other, strict=True)]
    assert dropped == [True, where == "model"][: len(strides)]  # that of the decoder on the finest alone
    assert torch.equal(*(model.eval()(image)["value"][-1] for _ in range(2)))


def test_a_head_that_wants_finer_maps_than_there_are_reads_the_finest() -> None:
    model = made(SMALL, partial(DeepLabV3, width=8), semantic=HeadSpec(3, (2,)))
    assert model(torch.rand(1, 3, 40, 48))["semantic"][-1].shape == (1, 3, 5, 6)


def test_a_head_on_several_levels_gives_one_row_of_cells() -> None:
    model = made(partial(ResNet, depth=18), partial(FPN, upsample=Nearest, width=8), boxes=HeadSpec(4, (8, 16, 32)))
    assert model(torch.rand(2, 3, 37, 45))["boxes"][-1].shape == (2, 4, 5 * 6 + 3 * 3 + 2 * 2)


@pytest.mark.parametrize("strides", [(16,), (2, 16)])
def test_a_stride_that_the_decoder_lacks_is_refused_with_the_remedy(strides: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"'center' wants a map of stride 16, .* are 4, 2, 1; choose another decoder"):
        made(SMALL, partial(UNet, upsample=Nearest), center=HeadSpec(1, strides))


def supervised(decoder: object, count: int, **heads: HeadSpec) -> EncoderDecoder:
    return EncoderDecoder(SMALL, decoder, heads, 3, (0,) * 3, (1,) * 3, deep_supervision=count)  # pyright: ignore


def test_earlier_stages_teach_every_head_and_are_gone_in_evaluation() -> None:
    heads = {"fine": HeadSpec(3, kind="classes"), "coarse": HeadSpec(2, (2,))}
    model = supervised(partial(UNet, upsample=Nearest), 1, **heads)
    outputs = model(torch.rand(1, 3, 37, 45))
    assert [tuple(x.shape) for x in outputs["fine"]] == [(1, 3, 19, 23), (1, 3, 37, 45)]
    assert [tuple(x.shape) for x in outputs["coarse"]] == [(1, 2, 10, 12), (1, 2, 19, 23)]
    sum(x.square().mean() for stages in outputs.values() for x in stages).backward()  # pyright: ignore
    assert all(value.grad is not None for value in model.parameters())
    assert [len(stages) for stages in model.eval()(torch.rand(1, 3, 37, 45)).values()] == [1, 1]
    assert [len(stages) for stages in model.train()(torch.rand(1, 3, 37, 45)).values()] == [2, 2]


def test_a_pruned_unet_stops_at_the_map_of_the_prediction() -> None:
    model = supervised(partial(UNet, upsample=Nearest), 2, semantic=HeadSpec(3, kind="classes")).eval()
    image = torch.rand(1, 3, 37, 45)
    maps = model.decoder(model.encoder(image))
    model.skip_stages(1)
    want = model.stages["semantic"][1].convs[0](maps[1])  # pyright: ignore
    ran: list[int] = []
    for step, block in enumerate(model.decoder.blocks):  # pyright: ignore
        block.register_forward_hook(lambda *_, step=step: ran.append(step))
    assert torch.equal(model(image)["semantic"][-1], want)
    assert ran == [0, 1]


def test_without_deep_supervision_nothing_is_added() -> None:
    model = made(SMALL, partial(UNet, upsample=Nearest), semantic=HeadSpec(3))
    assert not [name for name in model.state_dict() if name.startswith("stages")]
    with pytest.raises(UserError, match=r"skip_stages=1: .*deep_supervision=0; give 0 to 0"):
        model.skip_stages(1)


@pytest.mark.parametrize(
    ("decoder", "count", "head", "message"),
    [
        (partial(UNet, upsample=Nearest), 3, HeadSpec(2), "has 2 maps before that of head 'semantic'; give 0 to 2"),
        (partial(UNet, upsample=Nearest), -1, HeadSpec(2), "has 2 maps before that of head 'semantic'; give 0 to 2"),
        (partial(DeepLabV3, width=8), 1, HeadSpec(2), "has 0 maps .*; set 0, or choose another decoder"),
        (partial(FPN, upsample=Nearest), 1, HeadSpec(2, (4, 8)), "'semantic' already reads several maps .*; set 0"),
    ],
)
def test_more_stages_than_maps_are_refused(decoder: object, count: int, head: HeadSpec, message: str) -> None:
    with pytest.raises(UserError, match=message):
        supervised(decoder, count, semantic=head)


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(UserError, match=r"model\.kernel: 2; give an odd number"):
        EncoderDecoder(SMALL, partial(DeepLabV3, width=8), {}, 3, (0, 0, 0), (1, 1, 1), kernel=2)


def test_it_works_in_channels_last_and_under_autocast() -> None:
    model = made(SMALL, partial(UNet, upsample=Nearest), semantic=HeadSpec(3)).to(memory_format=torch.channels_last)
    image = torch.rand(2, 3, 37, 45).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        answer = model(image)["semantic"][-1]
    answer.float().sum().backward()
    assert answer.shape == (2, 3, 37, 45)
