from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from densepred.decoder.attention import SCSE, AttentionGate
from densepred.decoder.unet import UNet
from densepred.encoder.plain import Plain
from densepred.types import UserError
from densepred.upsample.nearest import Nearest


@pytest.mark.parametrize(("size", "factor"), [((9, 6), 2), ((8, 8), 4), ((5, 4), 1), ((1, 1), 2)])
def test_a_gate_is_the_formula_place_by_place(size: tuple[int, int], factor: int) -> None:
    torch.manual_seed(0)
    gate = AttentionGate(4, 3, factor).double()
    rows, columns = (-(-length // factor) for length in size)
    skip, signal = torch.randn(1, 4, *size).double(), torch.randn(1, 3, rows, columns).double()
    weights = torch.zeros(1, 1, rows, columns).double()
    for y in range(rows):
        for x in range(columns):
            seen = gate.phi.weight[:, :, 0, 0] @ signal[0, :, y, x] + gate.phi.bias  # pyright: ignore
            for i in range(factor):
                for j in range(factor):
                    at = min(factor * y + i, size[0] - 1), min(factor * x + j, size[1] - 1)
                    seen = seen + gate.theta.weight[:, :, i, j] @ skip[0, :, at[0], at[1]]
            value = gate.psi.weight[0, :, 0, 0] @ seen.clamp(min=0) + gate.psi.bias[0]  # pyright: ignore
            weights[0, 0, y, x] = 1 / (1 + torch.exp(-value))
    want = skip * F.interpolate(weights, size, mode="bilinear")
    torch.testing.assert_close(gate(skip, signal), want)


def test_a_gate_takes_a_signal_that_an_encoder_rounded_down() -> None:
    assert AttentionGate(4, 3, 2)(torch.rand(2, 4, 9, 7), torch.rand(2, 3, 4, 3)).shape == (2, 4, 9, 7)


def test_squeeze_and_excitation_is_the_formula_channel_by_channel_and_place_by_place() -> None:
    torch.manual_seed(0)
    part, x = SCSE(32), torch.randn(1, 32, 5, 4)
    down, up, place = part.channel[1], part.channel[3], part.space[0]
    hidden = (down.weight[:, :, 0, 0] @ x[0].mean((1, 2)) + down.bias).clamp(min=0)
    assert len(hidden) == 2
    channels = torch.sigmoid(up.weight[:, :, 0, 0] @ hidden + up.bias)
    places = torch.sigmoid(torch.einsum("c,chw->hw", place.weight[0, :, 0, 0], x[0]) + place.bias)
    torch.testing.assert_close(part(x)[0], x[0] * channels[:, None, None] + x[0] * places)


def test_gates_weigh_every_skip_but_that_of_the_images_own_resolution() -> None:
    decoder = UNet(Plain(3, (4, 6, 8, 10)), Nearest, attention="gate")
    assert [type(gate).__name__ for gate in decoder.gates] == ["AttentionGate", "AttentionGate", "Open"]


def test_gates_without_skips_and_unknown_attention_are_refused() -> None:
    with pytest.raises(UserError, match=r"decoder\.attention: gate weights skips, but decoder\.skips is false"):
        UNet(Plain(3), Nearest, skips=False, attention="gate")
    with pytest.raises(UserError, match=r"unknown decoder\.attention: gates; did you mean gate"):
        UNet(Plain(3), Nearest, attention="gates")
