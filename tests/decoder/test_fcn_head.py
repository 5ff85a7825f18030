from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models.segmentation.fcn import FCNHead as Reference

from densepred.decoder.fcn_head import FCNHead
from densepred.encoder.plain import Plain
from densepred.types import UserError


@pytest.mark.parametrize("level", [-1, -2, 0])
def test_it_equals_torchvisions_on_any_level(level: int) -> None:
    torch.manual_seed(0)
    encoder = Plain(3, widths=(8, 12, 16)).eval()
    head = FCNHead(encoder, level=level).eval()
    theirs = Reference(encoder.channels[level], 5).eval()
    theirs[0].load_state_dict(head.conv[0].state_dict())
    theirs[1].load_state_dict(head.conv[1].state_dict())
    pyramid = encoder(torch.rand(2, 3, 21, 30))
    (have,) = head(pyramid)
    torch.testing.assert_close(theirs[4](have), theirs(pyramid.features[level]))
    assert (head.channels, head.strides) == ((encoder.channels[level] // 4,), (encoder.strides[level],))


def test_dropout_is_on_the_map() -> None:
    encoder = Plain(3, widths=(8, 12))
    head = FCNHead(encoder, dropout=0.5)
    drop = [part.p for part in head.modules() if isinstance(part, nn.Dropout)]
    assert drop == [0.5]
    assert [part.p for part in FCNHead(encoder).modules() if isinstance(part, nn.Dropout)] == [0.1]


@pytest.mark.parametrize("level", [2, -3])
def test_a_level_that_is_not_there_is_refused(level: int) -> None:
    with pytest.raises(UserError, match=r"decoder\.level: -?\d, and the encoder has 2 levels; give -2 to 1"):
        FCNHead(Plain(3, widths=(8, 12)), level=level)
