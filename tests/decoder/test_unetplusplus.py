from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from densepred.decoder.unetplusplus import Node, UNetPlusPlus
from densepred.encoder.plain import Plain
from densepred.encoder.resnet import ResNet
from densepred.encoder.vgg import VGG
from densepred.model.encoder_decoder import EncoderDecoder
from densepred.types import HeadSpec, UserError
from densepred.upsample.nearest import Nearest
from densepred.upsample.transposed import Transposed
from densepred.upsample.unpool import Unpool

LIGHT = partial(Plain, widths=(4, 6, 8, 10))
TRIANGLE = {(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (0, 3)}


def built(encoder: object = LIGHT, supervised: int = 2, **settings: object) -> EncoderDecoder:
    torch.manual_seed(0)
    decoder = partial(UNetPlusPlus, **{"upsample": Nearest, **settings})
    heads = {"semantic": HeadSpec(3, kind="classes")}
    return EncoderDecoder(encoder, decoder, heads, 3, (0, 0, 0), (1, 1, 1), deep_supervision=supervised)  # pyright: ignore


def stages(model: EncoderDecoder, image: Tensor) -> list[Tensor]:
    """All stages by the running statistics, as after training."""
    model.eval()
    model.training = True
    model._ask()
    found = model(image)["semantic"]
    model.eval()
    return found


def test_nodes_have_the_papers_widths_and_inputs() -> None:
    """The paper: k filters per row, [j + 1] x k maps into the block of node (i, j), a 2x2 up-convolution before it."""
    widths = (32, 64, 128, 256, 512)
    with torch.device("meta"):
        decoder = UNetPlusPlus(Plain(3, widths, norm="none"), Transposed, widths[-2::-1], norm="none")
    assert len(decoder.nodes) == 10
    for name, node in decoder.nodes.items():
        i, j = map(int, name.split("_"))
        assert isinstance(node, Node)
        first = node.block.get_submodule("0.0")
        assert isinstance(first, nn.Conv2d)
        assert (first.in_channels, first.out_channels) == ((j + 1) * widths[i], widths[i])


def test_a_column_depends_on_the_levels_up_to_its_own_and_no_other() -> None:
    encoder = Plain(3, (4, 6, 8, 10))
    decoder = UNetPlusPlus(encoder, Nearest)
    pyramid = encoder(torch.rand(1, 3, 37, 45))
    pyramid.features = [feature.detach().requires_grad_() for feature in pyramid.features]
    maps = decoder(pyramid)
    assert decoder.strides == (4, 2, 1, 1, 1)
    assert [x.shape[1] for x in maps] == list(decoder.channels)
    for column, x in enumerate(maps[2:], 1):
        grads = torch.autograd.grad(x.sum(), pyramid.features, retain_graph=True, allow_unused=True)
        assert [grad is not None for grad in grads] == [level <= column for level in range(4)]


@pytest.mark.parametrize("skip_stages", [0, 1, 2])
def test_pruned_it_predicts_as_the_stage_that_was_supervised(skip_stages: int) -> None:
    model, image = built(), torch.rand(2, 3, 37, 45)
    model(image)["semantic"][-1].sum().backward()
    want = stages(model, image)
    assert [x.shape for x in want] == [(2, 3, 37, 45)] * 3
    ran: set[tuple[int, int]] = set()
    for name, node in model.decoder.nodes.items():  # pyright: ignore
        place = tuple(map(int, name.split("_")))
        node.register_forward_hook(lambda *_, place=place: ran.add(place))
    model.skip_stages(skip_stages)
    found = model(image)["semantic"]
    assert len(found) == 1
    assert torch.equal(found[0], want[-1 - skip_stages])
    assert ran == {(i, j) for i, j in TRIANGLE if i + j <= 3 - skip_stages}
    assert not torch.equal(want[0], want[1])


def test_an_encoder_that_begins_coarse_is_climbed_after_the_triangle() -> None:
    model = built(partial(ResNet, depth=18), supervised=4)
    want = stages(model, torch.rand(1, 3, 37, 45))
    assert [x.shape[-2:] for x in want] == [(19, 23)] * 4 + [(37, 45)]
    model.skip_stages(1)
    assert model(torch.rand(1, 3, 37, 45))["semantic"][0].shape == (1, 3, 19, 23)


@pytest.mark.parametrize("encoder", [LIGHT, partial(VGG, width=0.0625)])
@pytest.mark.parametrize("narrow", [True, False])
def test_it_unpools_where_its_encoder_pools(encoder: object, narrow: bool) -> None:
    model = built(encoder, upsample=Unpool, narrow=narrow, block="residual", attention="scse")
    assert [x.shape for x in model(torch.rand(1, 3, 37, 45))["semantic"]] == [(1, 3, 37, 45)] * 3


def test_other_strides_leave_rows_out() -> None:
    encoder = Plain(3, (4, 6, 8, 10))
    decoder = UNetPlusPlus(encoder, Nearest, stride=4)
    assert decoder.strides == (4,)
    assert [x.shape for x in decoder(encoder(torch.rand(1, 3, 37, 45)))] == [(1, 8, 9, 11)]


def test_what_does_not_fit_is_refused_with_the_remedy() -> None:
    with pytest.raises(UserError, match=r"decoder\.widths has 2 numbers; give this encoder 3, .* 4, 2, 1"):
        built(widths=(8, 4))
    with pytest.raises(UserError, match=r"unknown decoder\.attention: gate; .*none, scse"):
        built(attention="gate")
    with pytest.raises(UserError, match=r"this decoder has 4 maps before that of head 'semantic'; give 0 to 4"):
        built(supervised=5)
    with pytest.raises(UserError, match=r"skip_stages=3: .*deep_supervision=2; give 0 to 2"):
        built().skip_stages(3)
