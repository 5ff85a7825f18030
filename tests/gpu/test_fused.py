"""Compiled kernels of losses on a CUDA device, against the plain way in float64."""

from __future__ import annotations

import pytest
import torch

from densepred.contracts import SummedLoss
from densepred.loss.ce import CrossEntropy
from densepred.loss.ce_dice import CrossEntropyDice
from densepred.loss.dice import Dice
from densepred.loss.focal import Focal
from densepred.ops.loss import banded, fused
from tests.ops.loss.scenes import FUSED, check_fused

pytest.importorskip("triton")
LARGE = {
    "19 classes, stride 4": (CrossEntropy(), 19, (64, 128), (256, 512), {"void": 9, "dtype": torch.bfloat16}),
    "19 classes, stride 8, channels last": (
        CrossEntropyDice(label_smoothing=0.1),
        19,
        (33, 65),
        (257, 513),
        {"weighted": True, "layout": torch.channels_last, "dtype": torch.bfloat16},
    ),
    "150 classes": (Focal(), 150, (65, 63), (260, 252), {}),
    "the size of the logits, channels last": (
        CrossEntropyDice(),
        21,
        (257, 131),
        (257, 131),
        {"layout": torch.channels_last, "dtype": torch.float16},
    ),
    "aligned corners": (Dice(), 5, (65, 129), (257, 513), {"align_corners": True}),
}


@pytest.mark.parametrize("name", FUSED)
def test_kernels_agree_with_the_plain_way(name: str) -> None:
    check_fused(*FUSED[name], device="cuda")


@pytest.mark.parametrize("name", LARGE)
def test_kernels_agree_with_the_plain_way_on_images(name: str) -> None:
    check_fused(*LARGE[name], device="cuda")


@pytest.mark.parametrize("loss", [CrossEntropy(), Dice()], ids=lambda loss: type(loss).__name__)
def test_kernels_repeat_in_every_bit_hold_little_memory_and_are_chosen(loss: SummedLoss) -> None:
    logits = torch.randn(4, 19, 128, 128, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    target = torch.randint(0, 19, (4, 512, 512), device="cuda", dtype=torch.uint8)
    assert fused.chosen(loss, logits)
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    values = [loss.value(banded.sums(loss, logits, target)) for _ in range(3)]
    found = [torch.autograd.grad(value, logits)[0] for value in values]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    enlarged = 4 * 4 * 19 * 512 * 512
    assert torch.cuda.max_memory_allocated() - before < enlarged
    plain = loss.value(banded.sums(loss, logits, target, kernels=False))
    assert float(values[0].detach()) == pytest.approx(float(plain.detach()), rel=1e-5)
