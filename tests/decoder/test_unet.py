from __future__ import annotations

from functools import partial

import pytest
import torch

from densepred.decoder.unet import UNet
from densepred.encoder.plain import Plain
from densepred.encoder.resnet import ResNet
from densepred.model.encoder_decoder import EncoderDecoder
from densepred.types import HeadSpec, UserError
from densepred.upsample.nearest import Nearest
from densepred.upsample.transposed import Transposed

WIDTHS = (256, 128, 64, 32, 16)


def test_it_can_be_segmentation_models_unet_with_the_same_weights() -> None:
    peer = pytest.importorskip("segmentation_models_pytorch", reason="a peer, of the extra `bench`")
    torch.manual_seed(0)
    theirs = peer.Unet("resnet34", encoder_weights=None, classes=5).eval()
    model = EncoderDecoder(
        partial(ResNet, depth=34),
        partial(UNet, upsample=Nearest, widths=WIDTHS, narrow=False),
        {"semantic": HeadSpec(5)},
        channels=3,
        mean=(0, 0, 0),
        std=(1, 1, 1),
        kernel=3,
    ).eval()
    model.encoder.body.load_state_dict(theirs.encoder.state_dict())  # pyright: ignore
    # Both decoders hold the same tensors in the same order.
    for mine, peer in ((model.decoder, theirs.decoder), (model.heads, theirs.segmentation_head)):
        pairs = zip(mine.state_dict().values(), peer.state_dict().values(), strict=True)
        assert all(a.copy_(b).shape == b.shape for a, b in pairs)
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(model(image)["semantic"][-1], theirs(image), atol=1e-5, rtol=1e-5)


def test_a_paper_sized_unet_has_the_papers_parameters() -> None:
    with torch.device("meta"):
        encoder = Plain(1, widths=(64, 128, 256, 512, 1024), norm="none")
        decoder = UNet(encoder, Transposed, widths=(512, 256, 128, 64), norm="none")
    both = sum(p.numel() for part in (encoder, decoder) for p in part.parameters())
    assert both + 64 * 2 + 2 == 31_030_658


def test_a_coarser_finest_map_leaves_steps_out() -> None:
    encoder = ResNet(3, 18)
    pyramid = encoder(torch.rand(1, 3, 37, 45))
    for stride, sizes in ((2, [(3, 3), (5, 6), (10, 12), (19, 23)]), (8, [(3, 3), (5, 6)])):
        decoder = UNet(encoder, Nearest, stride=stride)
        assert [tuple(x.shape[-2:]) for x in decoder(pyramid)] == sizes
        assert decoder.strides[-1] == stride
        assert [x.shape[1] for x in decoder(pyramid)] == list(decoder.channels)


def test_an_encoder_that_begins_coarse_is_climbed_to_full_size() -> None:
    encoder = ResNet(3, 18, output_stride=8)
    decoder = UNet(encoder, Nearest, skips=False)
    assert decoder.strides == (8, 8, 4, 2, 1)
    assert decoder.channels == (128, 128, 64, 32, 16)
    assert decoder(encoder(torch.rand(1, 3, 40, 48)))[-1].shape == (1, 16, 40, 48)


def test_a_wrong_number_of_widths_is_refused_with_the_right_one() -> None:
    with pytest.raises(UserError, match=r"decoder\.widths has 2 numbers; give this encoder 4, .* 8, 4, 2, 1"):
        UNet(Plain(3), Nearest, widths=(8, 4))


def test_a_stride_beyond_the_encoder_is_refused() -> None:
    with pytest.raises(UserError, match=r"decoder\.stride=64 is no finer than the encoder's 16"):
        UNet(Plain(3), Nearest, stride=64)
