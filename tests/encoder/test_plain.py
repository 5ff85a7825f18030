from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models.resnet import BasicBlock

from densepred.encoder.plain import Plain
from densepred.nn import Residual
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
    with pytest.raises(UserError, match=f"unknown {key}: {value}; did you mean {guess}"):
        Plain(3, **{key: value})  # pyright: ignore[reportArgumentType]


def test_a_residual_block_equals_torchvisions_with_the_same_weights() -> None:
    torch.manual_seed(0)
    for before, after in ((5, 5), (5, 7)):
        down = nn.Sequential(nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after))
        theirs = BasicBlock(before, after, downsample=down if before != after else None)
        block = Residual(before, after, "batch", "relu")
        names = {
            "conv1": "body.0.0",
            "bn1": "body.0.1",
            "conv2": "body.1.0",
            "bn2": "body.1.1",
            "downsample": "shortcut",
        }
        state = {
            names[key.partition(".")[0]] + "." + key.partition(".")[2]: v for key, v in theirs.state_dict().items()
        }
        block.load_state_dict(state)
        image = torch.rand(2, before, 5, 4)
        torch.testing.assert_close(block(image), theirs(image))


def test_residual_levels_learn_and_unknown_blocks_are_refused() -> None:
    encoder = Plain(3, (4, 8), block="residual")
    encoder(torch.rand(1, 3, 5, 7)).features[-1].sum().backward()
    assert all(value.grad is not None for value in encoder.parameters())
    with pytest.raises(UserError, match="unknown block: residal; did you mean residual"):
        Plain(3, block="residal")


def test_dropout_acts_on_the_deepest_level_only() -> None:
    torch.manual_seed(0)
    encoder = Plain(3, widths=(4, 8), norm="none", dropout=0.5)
    image = torch.rand(1, 3, 32, 32)
    first, second = encoder(image).features, encoder(image).features
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])
