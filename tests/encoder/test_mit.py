from __future__ import annotations

import pytest
import torch
from torchvision.ops import StochasticDepth

from densepred.encoder import mit
from densepred.encoder.mit import Attention, DropPath, MixTransformer
from densepred.types import UserError
from densepred.weights.families import family

# https://arxiv.org/abs/2105.15203, table 6: millions of parameters of the encoders.
PUBLISHED = {
    "mit_b0": 3.4,
    "mit_b1": 13.1,
    "mit_b2": 24.2,
    "mit_b3": 44.0,
    "mit_b4": 60.8,
    "mit_b5": 81.4,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_those_of_the_paper(plain, name: str) -> None:
    node = plain(f"encoder={name}")["encoder"]
    with torch.device("meta"):
        encoder = MixTransformer(3, node["widths"], node["depths"])
    # The paper rounds, and counts a classifier of 1000 classes in some of them.
    assert sum(p.numel() for p in encoder.parameters()) / 1e6 == pytest.approx(PUBLISHED[name], abs=0.6)


def test_features_equal_those_of_segmentation_models_pytorch() -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    torch.manual_seed(0)
    theirs = smp.encoders.get_encoder("mit_b0", weights=None).eval()
    ours = MixTransformer(3).eval()
    state, extras = family("segformer").rename(theirs.state_dict())
    ours.load_state_dict({name.removeprefix("encoder."): value for name, value in state.items()})
    assert not extras
    image = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        for mine, peer in zip(ours(image).features, theirs(image)[2:], strict=True):
            torch.testing.assert_close(mine, peer, atol=1e-5, rtol=1e-5)


def test_widths_that_the_heads_do_not_divide_are_refused() -> None:
    with pytest.raises(UserError, match=r"encoder\.widths: 33 is not a multiple of 2"):
        MixTransformer(3, widths=(32, 33, 160, 256))
    with pytest.raises(UserError, match="give four of each"):
        MixTransformer(3, widths=(32, 64))


@pytest.mark.parametrize("chance", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("training", [True, False])
def test_samples_are_dropped_as_by_torchvision(chance: float, training: bool) -> None:
    x, found = torch.randn(8, 3, 2), []
    for kind in (DropPath(chance), StochasticDepth(chance, "row")):
        torch.manual_seed(0)
        found.append(kind.train(training)(x))
    assert torch.equal(*found)


@pytest.mark.parametrize("size", [(2, 9), (8, 8), (19, 23)])
def test_exported_attention_keeps_the_padding_of_small_maps(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A branch on the size would hold for the large images of the trace alone."""
    attention, tokens, padded = Attention(4, 1, 8).eval(), torch.rand(1, size[0] * size[1], 4), []
    want = attention(tokens, size)
    pad = mit.F.pad
    monkeypatch.setattr(mit.F, "pad", lambda x, around: padded.append(around) or pad(x, around))
    monkeypatch.setattr("torch.compiler.is_exporting", lambda: True)
    assert torch.equal(attention(tokens, size), want)
    assert padded == [(0, max(0, 8 - size[1]), 0, max(0, 8 - size[0]))]
