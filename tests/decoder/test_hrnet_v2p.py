from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from densepred.decoder.hrnet_v2p import HRNetV2p
from densepred.encoder.hrnet import HRNet
from densepred.types import Pyramid, UserError
from densepred.upsample.bilinear import Bilinear

TINY = partial(HRNet, 3, 4, (1, 1, 1), 1, 1, 4)


def test_it_is_the_formula_of_the_paper_where_sizes_divide() -> None:
    torch.manual_seed(0)
    encoder = TINY()
    decoder = HRNetV2p(encoder, Bilinear, width=6, norm="none", activation="none")
    features = [torch.randn(2, c, 128 // s, 192 // s) for c, s in zip(encoder.channels, encoder.strides, strict=True)]
    with torch.no_grad():
        have = decoder(Pyramid(features, [None] * 4))
        joined = torch.cat([F.interpolate(x, scale_factor=2**i, mode="bilinear") for i, x in enumerate(features)], 1)
        reduced = decoder.reduce(joined)
        for i, (mine, conv) in enumerate(zip(reversed(have), decoder.smooth, strict=True)):
            cells = reduced.unflatten(-1, (-1, 2**i)).unflatten(-3, (-1, 2**i)).mean((-3, -1))
            torch.testing.assert_close(mine, conv[0](cells), atol=1e-5, rtol=1e-5)  # pyright: ignore[reportIndexIssue]
    assert decoder.strides == (64, 32, 16, 8, 4)
    assert decoder.channels == (6,) * 5


@pytest.mark.parametrize("size", [(1, 1), (37, 45), (65, 130)])
def test_each_map_has_a_cell_for_every_part_of_the_image(size: tuple[int, int]) -> None:
    encoder = TINY()
    decoder = HRNetV2p(encoder, Bilinear, width=4)
    maps = decoder(encoder(torch.rand(1, 3, *size)))
    for x, stride in zip(maps, decoder.strides, strict=True):
        assert x.shape == (1, 4, *(-(-length // stride) for length in size))


def test_a_window_that_overhangs_is_the_mean_of_what_it_covers() -> None:
    encoder = TINY()
    decoder = HRNetV2p(encoder, Bilinear, width=1, norm="none", activation="none")
    decoder.join.forward = lambda pyramid: torch.arange(5.0).view(1, 1, 1, 5)  # type: ignore[method-assign]
    decoder.reduce = decoder.smooth[0] = decoder.smooth[1] = decoder.smooth[2] = torch.nn.Identity()  # type: ignore[assignment]
    maps = decoder(Pyramid([], []))
    assert maps[-1].flatten().tolist() == [0, 1, 2, 3, 4]
    assert maps[-2].flatten().tolist() == [0.5, 2.5, 4]
    assert maps[-3].flatten().tolist() == [1.5, 4]


def test_no_level_is_refused() -> None:
    with pytest.raises(UserError, match=r"decoder\.levels: 0; give 1 or more"):
        HRNetV2p(TINY(), Bilinear, levels=0)


def test_bare_maps_have_neither_norm_nor_activation_and_unwanted_ones_are_left_out() -> None:
    encoder = TINY()
    decoder = HRNetV2p(encoder, Bilinear, width=4, bare=True)
    assert not [part for part in decoder.smooth.modules() if isinstance(part, torch.nn.BatchNorm2d | torch.nn.ReLU)]
    pyramid = encoder(torch.rand(1, 3, 64, 64))
    whole = decoder(pyramid)
    decoder.wanted = {0, 2}
    some = decoder(pyramid)
    assert [x.numel() > 0 for x in some] == [True, False, True, False, False]
    assert torch.equal(some[2], whole[2])
