from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from densepred.decoder.semantic_fpn import SemanticFPN
from densepred.encoder.resnet import ResNet
from densepred.types import UserError
from densepred.upsample.nearest import Nearest


def test_branches_climb_level_by_level_to_the_finest_and_are_summed() -> None:
    """Rewrite figure 3 of the paper; the encoder's stride is traded for dilation, so two levels have stride 16."""
    torch.manual_seed(0)
    encoder = ResNet(3, 18, 16).eval()
    decoder = SemanticFPN(encoder, Nearest, width=8, branch_width=6, norm="none", activation="none").eval()
    assert [len(branch.convs) for branch in decoder.branches] == [2, 2, 1, 1]  # pyright: ignore
    pyramid = encoder(torch.rand(1, 3, 50, 70))
    with torch.no_grad():
        levels, total, x = pyramid.features[:0:-1], torch.zeros(()), torch.zeros(())
        for step, level in enumerate(levels):
            lateral = decoder.laterals[step](level)
            x = lateral + F.interpolate(x, lateral.shape[-2:]) if step else lateral
            y = decoder.smooth[step](x)
            for number, finer in enumerate([(7, 9), (13, 18)][max(0, step - 1) :]):
                y = F.interpolate(decoder.branches[step].convs[number](y), finer, mode="bilinear")  # pyright: ignore
            total = total + (y if step < 3 else decoder.branches[3].convs[0](y))  # pyright: ignore
        have = decoder(pyramid)
    assert (decoder.channels, decoder.strides) == ((6,), (4,))
    torch.testing.assert_close(have, [total])


def test_concatenated_branches_keep_their_channels() -> None:
    with torch.device("meta"):
        encoder = ResNet(3, 18)
        decoder = SemanticFPN(encoder, Nearest, width=8, branch_width=6, smooth=False, merge="concatenate")
        assert decoder(encoder(torch.rand(1, 3, 64, 64)))[0].shape == (1, 24, 16, 16)
    assert decoder.channels == (24,)


def test_another_way_to_merge_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown decoder\.merge: cat; .*choose one of sum, concatenate"):
        SemanticFPN(ResNet(3, 18), Nearest, merge="cat")
