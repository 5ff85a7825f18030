"""Losses of the hardest pixels: ohem and topk."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from densepred.loss.ce import CrossEntropy
from densepred.loss.ohem import OnlineHardExamples
from densepred.loss.topk import TopK
from densepred.types import VOID, UserError
from tests.reference import slow_losses


def scene() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    logits, target = 2 * torch.randn(2, 3, 5, 8), torch.randint(0, 3, (2, 5, 8), dtype=torch.uint8)
    target[0, 1], weight = VOID, torch.rand(2, 5, 8)
    weight[1, :2] = 0
    return logits, target, weight


@pytest.mark.parametrize(("threshold", "least"), [(0.9, 10), (0.2, 30), (0.5, 0), (0.9, 1000), (1.0, 0), (0.0, 7)])
def test_ohem_is_the_mean_over_a_sorted_list(threshold: float, least: int) -> None:
    logits, target, weight = scene()
    pixels = slow_losses.hard_pixels(logits, target, weight)
    kept = [pixel for n, pixel in enumerate(pixels) if n < least or pixel[0] < threshold]
    wanted = sum(-top_k_percent * math.log(p) for p, top_k_percent in kept) / sum(
        top_k_percent for _, top_k_percent in kept
    )
    assert OnlineHardExamples(threshold, least)(logits, target, weight).item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(("threshold", "least"), [(0.9, 10), (0.3, 20), (0.5, 0)])
def test_ohem_keeps_the_pixels_that_hrnet_keeps(threshold: float, least: int) -> None:
    """Its rule: probabilities under max(threshold, the one of place `least` in their order)."""
    logits, target, _ = scene()
    known = target != VOID
    p = logits.softmax(1).gather(1, target.where(known, 0).long()[:, None])[:, 0][known]
    limit = max(p.sort().values[least].item(), threshold)
    wanted = -p[p < limit].log().mean()
    torch.testing.assert_close(OnlineHardExamples(threshold, least)(logits, target), wanted)


def test_ohem_of_few_pixels_is_cross_entropy() -> None:
    logits, target, weight = scene()
    weights = [1.0, 0.5, 3.0]
    found = OnlineHardExamples(0.0, 131072, weights)(logits, target, weight)
    torch.testing.assert_close(found, CrossEntropy(weights)(logits, target, weight))


def test_ohem_where_nothing_is_hard_is_zero() -> None:
    target = torch.zeros(1, 3, 3, dtype=torch.uint8)
    logits = torch.tensor([9.0, -9.0]).view(1, 2, 1, 1).expand(1, 2, 3, 3).clone().requires_grad_()
    loss = OnlineHardExamples(0.9, 0)(logits, target)
    assert loss.item() == 0
    assert (torch.autograd.grad(loss, logits)[0] == 0).all()


@pytest.mark.parametrize("top_k_percent", [0.2, 0.5, 1.0])
def test_topk_is_the_mean_over_a_sorted_list(top_k_percent: float) -> None:
    logits, target, weight = scene()
    pixels = slow_losses.hard_pixels(logits, target, weight)
    weighted = sorted(((-w * math.log(p), w) for p, w in pixels), reverse=True)
    kept = weighted[: round(top_k_percent * len(weighted))]
    wanted = sum(loss for loss, _ in kept) / sum(w for _, w in kept)
    assert TopK(top_k_percent)(logits, target, weight).item() == pytest.approx(wanted, rel=1e-5)


def test_topk_is_that_of_panoptic_deeplab_without_void() -> None:
    logits, target = torch.randn(2, 3, 5, 8), torch.randint(0, 3, (2, 5, 8), dtype=torch.uint8)
    each = F.cross_entropy(logits, target.long(), reduction="none").flatten()
    torch.testing.assert_close(TopK()(logits, target), each.topk(int(0.2 * len(each))).values.mean())
    weights = [0.5, 1.0, 3.0]
    torch.testing.assert_close(TopK(1.0, weights)(logits, target), CrossEntropy(weights)(logits, target))


def test_one_pixel_at_least_counts() -> None:
    logits, target, _ = scene()
    hardest = slow_losses.hard_pixels(logits, target, None)[0][0]
    assert TopK(1e-6)(logits, target).item() == pytest.approx(-math.log(hardest), rel=1e-5)


def test_arguments_that_make_no_sense_are_named() -> None:
    for make, words in (
        (lambda: OnlineHardExamples(1.5), r"loss\.threshold: 1\.5"),
        (lambda: OnlineHardExamples(min_kept=-1), r"loss\.min_kept: -1"),
        (lambda: TopK(0), r"loss\.top_k_percent: 0; give a number above 0"),
        (lambda: TopK(1.1), r"loss\.top_k_percent: 1\.1"),
    ):
        with pytest.raises(UserError, match=words):
            make()


@pytest.mark.parametrize("percent", [0.2, 1.0])
def test_count_is_the_loss_of_panoptic_deeplabs_program(percent: float) -> None:
    """DeepLabCE, written out: the share of all pixels, void ones with loss 0, over their number."""
    logits, target, weight = scene()
    each = F.cross_entropy(logits, target.long(), ignore_index=VOID, reduction="none").flatten() * weight.flatten()
    hardest = sorted(each.tolist(), reverse=True)[: int(percent * 80)]
    found = TopK(percent, normalise="count")(logits, target, weight)
    assert found.item() == pytest.approx(sum(hardest) / len(hardest), rel=1e-5)
