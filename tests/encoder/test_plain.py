from __future__ import annotations

import pytest
import torch

from densepred.encoder.plain import Plain
from densepred.types import UserError


def test_a_paper_sized_path_has_the_papers_weights() -> None:
    with torch.device("meta"):
        encoder = Plain(1, widths=(64, 128, 256, 512, 1024), norm="none")
    convolutions = [(1, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    convolutions += [(512, 1024), (1024, 1024)]
    assert sum(p.numel() for p in encoder.parameters()) == sum(9 * a * b + b for a, b in convolutions)


@pytest.mark.parametrize("norm", ["batch", "group", "instance", "none"])
def test_every_norm_learns_from_a_single_pixel_at_the_deepest_level(norm: str) -> None:
    encoder = Plain(3, widths=(32, 32, 64), norm=norm, activation="silu")
    encoder(torch.rand(1, 3, 4, 4)).features[-1].sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())


@pytest.mark.parametrize(("key", "value", "guess"), [("norm", "bach", "batch"), ("activation", "rellu", "relu")])
def test_a_misspelt_name_is_corrected(key: str, value: str, guess: str) -> None:
    with pytest.raises(UserError, match=f"unknown {key}: {value}; did you mean '{guess}'"):
        Plain(3, **{key: value})  # pyright: ignore[reportArgumentType]


def test_dropout_acts_on_the_deepest_level_only() -> None:
    torch.manual_seed(0)
    encoder = Plain(3, widths=(4, 8), norm="none", dropout=0.5)
    image = torch.rand(1, 3, 32, 32)
    first, second = encoder(image).features, encoder(image).features
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])
