from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from densepred.decoder.hrnet_v2 import HRNetV2, Join
from densepred.encoder.hrnet import HRNet
from densepred.encoder.plain import Plain
from densepred.types import Pyramid, UserError
from densepred.upsample.bilinear import Bilinear
from densepred.upsample.nearest import Nearest
from densepred.upsample.transposed import Transposed
from densepred.upsample.unpool import Unpool

TINY = partial(HRNet, 3, 4, (1, 1, 1), 1, 1, 4)


@pytest.mark.parametrize("align_corners", [False, True])
def test_it_is_the_formula_of_the_paper(align_corners: bool) -> None:
    torch.manual_seed(0)
    encoder = TINY(stem_width=8, shallow=True).eval()
    decoder = HRNetV2(encoder, partial(Bilinear, align_corners=align_corners)).eval()
    assert (decoder.channels, decoder.strides) == ((60,), (4,))
    features = [
        torch.randn(2, c, -(-37 // s), -(-45 // s)) for c, s in zip(encoder.channels, encoder.strides, strict=True)
    ]
    conv, norm = decoder.mix[0], decoder.mix[1]
    assert isinstance(norm, torch.nn.BatchNorm2d)
    torch.nn.init.uniform_(norm.bias, 0.0, 1.0)
    torch.nn.init.uniform_(conv.bias)  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        (have,) = decoder(Pyramid(features, [None] * 5))
        size = (10, 12)
        joined = torch.cat(
            [F.interpolate(x, size, mode="bilinear", align_corners=align_corners) for x in features[1:]], 1
        )
        mixed = torch.einsum("oi,bihw->bohw", conv.weight[..., 0, 0], joined) + conv.bias[:, None, None]  # pyright: ignore
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()  # pyright: ignore[reportOptionalOperand]
        want = (mixed * scale[:, None, None] + norm.bias[:, None, None]).clamp(min=0)
    torch.testing.assert_close(have, want, atol=1e-5, rtol=1e-5)


def test_a_narrow_mixture_is_as_wide_as_its_argument() -> None:
    encoder = TINY()
    decoder = HRNetV2(encoder, Nearest, width=5)
    (x,) = decoder(encoder(torch.rand(1, 3, 37, 45)))
    assert x.shape == (1, 5, 10, 12)
    assert decoder.channels == (5,)


def test_every_level_is_enlarged_in_one_stride_where_nothing_was_pooled() -> None:
    join = Join(TINY(), Transposed, 4, stepwise=False)
    assert join.channels == 60
    assert [[up.conv.stride[0] for up in ups] for ups in join.ups] == [[2], [4], [8]]  # pyright: ignore


def test_levels_that_climb_arrive_at_the_same_size() -> None:
    encoder = TINY()
    join = Join(encoder, Transposed, 4, stepwise=True)
    assert [[up.conv.stride[0] for up in ups] for ups in join.ups] == [[2], [2, 2], [2, 2, 2]]  # pyright: ignore
    assert join(encoder(torch.rand(1, 3, 37, 45))).shape == (1, 60, 10, 12)


def test_pooled_levels_climb_one_by_one_so_that_unpooling_puts_maxima_back() -> None:
    torch.manual_seed(0)
    encoder = Plain(1, (2, 2, 2, 2))
    join = Join(encoder, Unpool, 1, stepwise=False)
    pyramid = encoder(torch.rand(1, 1, 19, 21))
    (up,) = (ups for path, ups in zip(join.paths, join.ups, strict=True) if path == (2, 1, 0))
    assert len(up) == 2  # pyright: ignore[reportArgumentType]
    joined = join(pyramid)
    x = F.max_unpool2d(pyramid.features[2], pyramid.indices[2], 2, output_size=(9, 10))  # pyright: ignore
    x = F.max_unpool2d(x, pyramid.indices[1], 2, output_size=(19, 21))  # pyright: ignore[reportArgumentType]
    assert torch.equal(joined[:, 4:6], x)
    assert joined.shape == (1, 8, 19, 21)


def test_unpooling_is_refused_where_nothing_was_pooled() -> None:
    with pytest.raises(UserError, match=r"upsample=unpool needs an encoder that max-pools.*upsample=bilinear"):
        HRNetV2(TINY(), Unpool)
