from __future__ import annotations

import pytest
import torch
from torch import nn

from densepred.decoder.segformer import SegFormer
from densepred.encoder.mit import MixTransformer
from densepred.types import UserError
from densepred.upsample.bilinear import Bilinear
from densepred.weights.coverage import copy_matching
from densepred.weights.families import family


class Both(nn.Module):
    """Encoder and decoder by the names that a whole model gives them."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = MixTransformer(3)
        self.decoder = SegFormer(self.encoder, Bilinear)


def test_it_equals_that_of_segmentation_models_pytorch() -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    torch.manual_seed(0)
    theirs, ours = smp.Segformer("mit_b0", encoder_weights=None, classes=5).eval(), Both().eval()
    for norm in (part for part in theirs.modules() if isinstance(part, nn.BatchNorm2d)):
        nn.init.uniform_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    state, extras = family("segformer").rename(theirs.state_dict())
    coverage = copy_matching(ours, state)
    assert [name.partition(".")[0] for name in coverage.unexpected] == ["heads", "heads"]
    assert not coverage.missing
    assert not coverage.conflicts
    assert not extras
    image = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        have, want = ours.decoder(ours.encoder(image))[0], theirs.decoder(theirs.encoder(image))
    torch.testing.assert_close(have, want, atol=1e-5, rtol=1e-5)


def test_a_stride_beyond_the_encoder_is_refused() -> None:
    with pytest.raises(UserError, match=r"decoder\.stride=64 is beyond the encoder's 32"):
        SegFormer(MixTransformer(3), Bilinear, stride=64)
