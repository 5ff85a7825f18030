from __future__ import annotations

import pytest
import torch
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from densepred.decoder.fpn import FPN
from densepred.encoder.resnet import ResNet
from densepred.types import UserError
from densepred.upsample.nearest import Nearest


def test_it_equals_torchvisions_except_the_norm_at_the_end() -> None:
    torch.manual_seed(0)
    encoder = ResNet(3, 18).eval()
    decoder = FPN(encoder, Nearest, width=16, norm="none", activation="none").eval()
    theirs = FeaturePyramidNetwork([64, 128, 256, 512], 16)
    for i, (lateral, smooth) in enumerate(zip(reversed(decoder.laterals), reversed(decoder.smooth), strict=True)):
        theirs.inner_blocks[i][0].load_state_dict(lateral.state_dict())  # pyright: ignore[reportIndexIssue]
        theirs.layer_blocks[i][0].load_state_dict(smooth[0].state_dict())  # pyright: ignore[reportIndexIssue]
    with torch.no_grad():
        pyramid = encoder(torch.rand(2, 3, 37, 45))
        want = theirs({str(i): x for i, x in enumerate(pyramid.features[1:])})
        have = decoder(pyramid)
    for mine, peer in zip(reversed(have), want.values(), strict=True):
        torch.testing.assert_close(mine, peer, atol=1e-5, rtol=1e-5)
    assert decoder.strides == (32, 16, 8, 4)


def test_a_stride_beyond_the_encoder_is_refused() -> None:
    with pytest.raises(UserError, match=r"decoder\.stride=64 is beyond the encoder's 32"):
        FPN(ResNet(3, 18), Nearest, stride=64)


@pytest.mark.parametrize("source", ["decoder", "encoder"])
def test_bare_maps_and_levels_beyond_the_encoder_are_torchvisions(source: str) -> None:
    torch.manual_seed(0)
    encoder = ResNet(3, 18).eval()
    decoder = FPN(encoder, Nearest, width=16, stride=8, bare=True, extra=2, extra_from=source)
    more = LastLevelP6P7(16 if source == "decoder" else 512, 16)
    theirs = FeaturePyramidNetwork([128, 256, 512], 16, more)
    for i, (lateral, smooth) in enumerate(zip(reversed(decoder.laterals), reversed(decoder.smooth), strict=True)):
        theirs.inner_blocks[i][0].load_state_dict(lateral.state_dict())  # pyright: ignore[reportIndexIssue]
        theirs.layer_blocks[i][0].load_state_dict(smooth[0].state_dict())  # pyright: ignore[reportIndexIssue]
    more.p6.load_state_dict(decoder.extra[0].state_dict())
    more.p7.load_state_dict(decoder.extra[1].state_dict())
    with torch.no_grad():
        pyramid = encoder(torch.rand(2, 3, 133, 145))
        want = theirs({str(i): x for i, x in enumerate(pyramid.features[2:])})
        have = decoder(pyramid)
    for mine, peer in zip(reversed(have), want.values(), strict=True):
        torch.testing.assert_close(mine, peer, atol=1e-5, rtol=1e-5)
    assert decoder.strides == (128, 64, 32, 16, 8)
    assert len(decoder.channels) == 5


def test_unwanted_maps_are_left_out_unless_others_need_them() -> None:
    encoder = ResNet(3, 18).eval()
    decoder = FPN(encoder, Nearest, width=4, bare=True, extra=2)
    pyramid = encoder(torch.rand(1, 3, 64, 64))
    whole = decoder(pyramid)
    decoder.wanted = {0, 4}
    some = decoder(pyramid)
    assert [x.numel() > 0 for x in some] == [True, True, True, False, True, False]
    assert torch.equal(some[0], whole[0])
    assert torch.equal(some[4], whole[4])
