from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from densepred.decoder.pspnet import PSPNet, PyramidPooling
from densepred.decoder.upernet import UPerNet
from densepred.encoder.resnet import ResNet
from densepred.types import Pyramid, UserError
from densepred.upsample.nearest import Nearest


def test_pooling_puts_the_means_of_every_cell_beside_the_map() -> None:
    torch.manual_seed(0)
    pool = PyramidPooling(2, 1, (1, 3), "none", "none")
    for conv in pool.convs:
        torch.nn.init.constant_(conv[0].weight, 0.5)
        torch.nn.init.zeros_(conv[0].bias)
    x = torch.rand(1, 2, 6, 9)
    have = pool(x)
    assert have.shape == (1, 4, 6, 9)
    assert torch.equal(have[:, :2], x)
    both = x.mean(1, keepdim=True)
    torch.testing.assert_close(have[:, 2:3], both.mean((2, 3), keepdim=True).expand(1, 1, 6, 9))
    cells = both.view(1, 1, 3, 2, 3, 3).mean((3, 5))
    want = F.interpolate(cells, (6, 9), mode="bilinear", align_corners=False)
    torch.testing.assert_close(have[:, 3:], want)


def test_pspnet_has_the_shapes_of_the_paper() -> None:
    with torch.device("meta"):
        decoder = PSPNet(ResNet(3, 50, 8))
    assert [conv[0].weight.shape[:2] for conv in decoder.pool.convs] == [(512, 2048)] * 4  # pyright: ignore[reportIndexIssue]
    assert decoder.mix[0].weight.shape == (512, 4096, 3, 3)
    assert (decoder.channels, decoder.strides) == ((512,), (8,))


def test_upernet_fuses_every_level_at_the_finest() -> None:
    torch.manual_seed(0)
    encoder = ResNet(3, 18).eval()
    decoder = UPerNet(encoder, Nearest, width=8, norm="none", activation="none", dropout=0).eval()
    pyramid = encoder(torch.rand(1, 3, 50, 70))
    with torch.no_grad():
        x = decoder.deepest(decoder.pool(pyramid.features[4]))
        maps = [x]
        for step, level in enumerate((3, 2, 1)):
            x = decoder.laterals[step](pyramid.features[level]) + F.interpolate(x, pyramid.features[level].shape[-2:])
            maps.append(decoder.smooth[step](x))
        full = [F.interpolate(one, maps[-1].shape[-2:], mode="bilinear") for one in maps]
        want, have = decoder.fuse(torch.cat(full, 1)), decoder(pyramid)[0]
    assert have.shape == (1, 8, 13, 18)
    torch.testing.assert_close(have, want)


def test_bins_must_be_positive() -> None:
    with pytest.raises(UserError, match=r"decoder\.bins: \[0\]; give one positive number or more"):
        PyramidPooling(2, 1, [0], "none", "none")


def test_one_image_of_one_pixel_trains() -> None:
    decoder = PSPNet(ResNet(3, 18), width=4)
    pyramid = Pyramid([torch.rand(1, 512, 1, 1)], [None])
    decoder(pyramid)[0].sum().backward()


@pytest.mark.parametrize("kernel", [0, 2])
def test_kernels_are_odd(kernel: int) -> None:
    with pytest.raises(UserError, match=rf"decoder\.kernel: {kernel}; give an odd number"):
        PSPNet(ResNet(3, 18), kernel=kernel)
