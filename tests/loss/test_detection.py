"""The losses of detectors against torchvision's, and against loops."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from densepred.loss.center_focal import CenterFocal
from densepred.loss.giou import GeneralisedIoU
from densepred.loss.sigmoid_focal import SigmoidFocal
from densepred.loss.soft_bce import SoftBinaryCrossEntropy
from densepred.ops.boxes.ltrb import centerness


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (1.5, None), (0.0, 0.7)])
def test_sigmoid_focal_is_torchvisions_over_the_positives(gamma: float, alpha: float | None) -> None:
    logits, truth = 8 * random(2, 5, 9, 7) - 4, torch.zeros(2, 5, 9, 7, dtype=torch.bool)
    truth[0, 1, :2, 3], truth[1, 4, 5, 5] = True, True
    loss = SigmoidFocal(gamma, alpha)
    theirs = sigmoid_focal_loss(logits, truth.float(), -1 if alpha is None else alpha, gamma, "sum")
    assert loss(logits, truth).item() == pytest.approx(theirs.item() / 3, rel=1e-5)
    nothing = torch.zeros_like(truth)
    alone = sigmoid_focal_loss(logits, nothing.float(), -1 if alpha is None else alpha, gamma, "sum")
    assert loss(logits, nothing).item() == pytest.approx(alone.item(), rel=1e-5)


def test_cells_of_weight_nothing_are_neither_positive_nor_negative() -> None:
    logits, truth, weight = 4 * random(1, 3, 4, 4) - 2, torch.zeros(1, 3, 4, 4), torch.ones(1, 4, 4)
    truth[0, 1, 0, 0] = truth[0, 2, 3, 3] = 1
    weight[0, 0] = 0
    kept = SigmoidFocal()(logits[:, :, 1:], truth[:, :, 1:])
    assert SigmoidFocal()(logits, truth, weight).item() == pytest.approx(kept.item())
    kept = CenterFocal()(logits[:, :, 1:], truth[:, :, 1:])
    assert CenterFocal()(logits, truth, weight).item() == pytest.approx(kept.item())


def test_giou_is_torchvisions_of_the_boxes_around_a_point() -> None:
    pred, truth, points = 9 * random(2, 4, 6, 5), 9 * random(2, 4, 6, 5, seed=1), 50 * random(2, 2, 6, 5, seed=2)

    def boxes(sides: Tensor) -> Tensor:
        return torch.cat([points - sides[:, :2], points + sides[:, 2:]], 1).movedim(1, -1).reshape(-1, 4)

    theirs = generalized_box_iou_loss(boxes(pred), boxes(truth), reduction="none")
    weight = random(2, 6, 5, seed=3)
    assert GeneralisedIoU()(pred, truth).item() == pytest.approx(theirs.mean().item(), rel=1e-5)
    mean = (theirs * weight.flatten()).sum() / weight.sum()
    assert GeneralisedIoU()(pred, truth, weight).item() == pytest.approx(mean.item(), rel=1e-5)


def test_giou_of_empty_and_of_negative_boxes_is_finite() -> None:
    pred = torch.tensor([[0.0] * 4, [-1.0] * 4, [2.0] * 4])[:, :, None, None].requires_grad_()
    truth = torch.tensor([[0.0] * 4, [1.0] * 4, [0.0] * 4])[:, :, None, None]
    values = GeneralisedIoU().statistics(pred, truth)[:, 0]
    assert values.tolist() == pytest.approx([1, 1, 1])
    assert torch.autograd.grad(values.sum(), pred)[0].isfinite().all()


def test_soft_bce_is_torchs() -> None:
    logits, truth, weight = 8 * random(2, 1, 5, 4) - 4, random(2, 1, 5, 4, seed=1), random(2, 5, 4, seed=2)
    theirs = F.binary_cross_entropy_with_logits(logits, truth, weight[:, None], reduction="sum") / weight.sum()
    assert SoftBinaryCrossEntropy()(logits, truth, weight).item() == pytest.approx(theirs.item(), rel=1e-5)


def test_center_focal_is_the_formula_of_the_paper() -> None:
    logits, truth = 6 * random(2, 3, 4, 5) - 3, random(2, 3, 4, 5, seed=1)
    truth[0, 0, 0, 0] = truth[1, 2, 3, 4] = 1
    total = 0.0
    for x, y in zip(logits.flatten().tolist(), truth.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-x))
        total -= (1 - p) ** 2 * math.log(p) if y == 1 else (1 - y) ** 4 * p**2 * math.log(1 - p)
    assert CenterFocal()(logits, truth).item() == pytest.approx(total / 2, rel=1e-5)
    assert CenterFocal()(100 * torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)).isfinite()


def test_centerness_is_one_at_the_center_and_zero_at_a_side() -> None:
    sides = torch.tensor([[3.0, 2.0, 3.0, 2.0], [0.0, 2.0, 5.0, 2.0], [1.0, 4.0, 4.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    assert centerness(sides).tolist() == pytest.approx([1, 0, 0.25, 0])
