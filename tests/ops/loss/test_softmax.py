from __future__ import annotations

from itertools import product

import pytest
import torch

from densepred.ops.loss import softmax as module
from densepred.ops.loss.cross_entropy import CrossEntropyTerm
from densepred.ops.loss.overlap import OverlapTerm
from densepred.ops.loss.softmax import Coefficients, Softmax, SoftmaxBand
from densepred.types import VOID
from tests.ops.loss.scenes import scene


@pytest.mark.parametrize("part", [1, 2**17])
@pytest.mark.parametrize("classes", [2, 19])
def test_areas_are_weighted_sums_of_the_softmax(monkeypatch: pytest.MonkeyPatch, part: int, classes: int) -> None:
    monkeypatch.setattr(module, "PART", part)
    logits, target, weight = scene(classes)
    made = Softmax(logits.exp() * 3, target, weight)
    known = weight * (target != VOID)
    torch.testing.assert_close(made.areas(), torch.einsum("bkrw,brw->bk", logits.softmax(1), known))
    labels = target.where(target != VOID, 0).long()
    torch.testing.assert_close(made.truth, logits.softmax(1).gather(1, labels[:, None])[:, 0])


@pytest.mark.parametrize("part", [1, 2**17])
@pytest.mark.parametrize(("by_class", "constant"), list(product([False, True], repeat=2)))
def test_the_gradient_is_its_formula(
    monkeypatch: pytest.MonkeyPatch, part: int, by_class: bool, constant: bool
) -> None:
    monkeypatch.setattr(module, "PART", part)
    logits, target, weight = scene(3)
    pixel, truth = torch.randn(2, 3, 5, 7, dtype=torch.float64)
    classes, even = torch.randn(2, 3, 3, dtype=torch.float64)
    known, labels = weight * (target != VOID), target.where(target != VOID, 0).long()
    wanted = logits.softmax(1) * pixel[:, None]
    for k in range(3):
        wanted[:, k] += (labels == k) * truth
        if by_class:
            wanted[:, k] += logits.softmax(1)[:, k] * classes[:, k, None, None] * known
        if constant:
            wanted[:, k] += even[:, k, None, None] * known
    by = Coefficients(pixel, truth, classes if by_class else None, even if constant else None)
    torch.testing.assert_close(Softmax(logits.exp(), target, weight).gradient(by), wanted)


def test_terms_that_share_a_softmax_add_their_gradients() -> None:
    logits, target, weight = scene(3)

    def band(*kinds: str) -> SoftmaxBand:
        softmax = Softmax(logits.exp(), target, weight)
        made = {"ce": CrossEntropyTerm(softmax, None, 0.2), "overlap": OverlapTerm(softmax)}
        return SoftmaxBand(softmax, [made[kind] for kind in kinds])

    grad = torch.randn(3, 2 + 9 + 2, dtype=torch.float64)
    torch.testing.assert_close(band("ce", "overlap").sums(), torch.cat([band("ce").sums(), band("overlap").sums()], 1))
    alone = band("ce").gradient(grad[:, :2]) + band("overlap").gradient(grad[:, 2:11])
    alone += band("ce").gradient(grad[:, 11:])
    torch.testing.assert_close(band("ce", "overlap", "ce").gradient(grad), alone)
