from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.ops.loss.binary import BinaryBand, Scale, binary_sums, channel_truth, softmax_against_rest
from densepred.types import VOID
from tests.ops.loss.scenes import scene

CHANNELS = [1, 2, 19]


def case(channels: int) -> tuple[Tensor, Tensor, Tensor]:
    return scene(max(2, channels), channels)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_each_image_are_torchs(channels: int, weighted: bool) -> None:
    logits, target, weight = case(channels)
    positive = torch.linspace(0.5, 3, channels, dtype=torch.float64) if weighted else None
    found = binary_sums(logits, target, weight, Scale(positive, unit=7))
    for i in range(3):
        known = target[i] != VOID
        truth = channel_truth(target[i : i + 1], channels)[0].double()
        by = None if positive is None else positive[:, None, None]
        each = F.binary_cross_entropy_with_logits(logits[i], truth, pos_weight=by, reduction="none")
        wanted = [float((each * weight[i] * known).sum()), 7 * float((weight[i] * known).sum())]
        assert found[i].tolist() == pytest.approx(wanted)


def test_one_channel_is_class_one_and_several_are_one_class_each() -> None:
    labels = torch.tensor([[[0, 1], [2, 1]]])
    assert channel_truth(labels, 1).tolist() == [[[[False, True], [False, True]]]]
    assert channel_truth(labels, 3)[0, 2].tolist() == [[False, False], [True, False]]


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize(("positive", "negative"), [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_closed_form_of_a_band_is_autograds(channels: int, positive: bool, negative: bool, weighted: bool) -> None:
    logits, target, weight = case(channels)
    more = torch.linspace(0.5, 3, channels, dtype=torch.float64) if positive else None
    less = torch.linspace(2, 0.1, channels, dtype=torch.float64) if negative else None
    given = (target, weight if weighted else None, Scale(more, less, 3))
    x = logits.clone().requires_grad_()
    wanted = binary_sums(x, *given)
    grad = torch.randn(wanted.shape, dtype=torch.float64)
    (slope,) = torch.autograd.grad(wanted, x, grad)
    band = BinaryBand(logits.clone(), *given)
    torch.testing.assert_close(band.sums(), wanted.detach())
    torch.testing.assert_close(band.gradient(grad), slope)


@pytest.mark.parametrize("classes", [2, 3, 19])
def test_the_sigmoid_of_odds_against_the_rest_is_the_softmax(classes: int) -> None:
    logits = 5 * torch.randn(2, classes, 3, 4, dtype=torch.float64, requires_grad=True)
    found = softmax_against_rest(logits)
    torch.testing.assert_close(found.sigmoid(), logits.softmax(1))
    assert torch.autograd.gradcheck(softmax_against_rest, (logits[:1, :, :1, :2].detach().requires_grad_(),))


def test_odds_of_a_certain_class_are_its_lead() -> None:
    logits = torch.tensor([200.0, 0.0, -300.0]).view(1, 3, 1, 1)
    assert softmax_against_rest(logits).flatten().tolist() == pytest.approx([200, -200, -500])
