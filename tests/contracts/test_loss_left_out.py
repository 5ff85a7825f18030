"""No loss of configs/loss reads a prediction that does not count: it may be infinite or NaN."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest
import torch
from torch import Tensor

from densepred.contracts import Loss, SummedLoss
from densepred.ops.resize import resample
from densepred.types import VOID
from tests import cases
from tests.contracts.test_loss import Scene, bands_of, every_loss, make, scene, taken


def left_out(name: str, change: dict[str, Any], coarse: tuple[int, int]) -> tuple[Loss, Scene, Tensor]:
    """Return a scene with pixels that do not count, by weight and by void, and the locations that reach no other."""
    loss = make(name, change)
    given = scene(loss, coarse, weighted=True)
    assert given.weight is not None
    given.weight[1, :14] = 0
    given.weight[0, 20:, :30] = 0
    counts = given.weight != 0
    if loss.target == "classes":
        given.target[:, 25:] = VOID
        counts &= given.target != VOID
    ramp = torch.zeros(2, 1, *coarse, requires_grad=True)
    (reached,) = torch.autograd.grad((resample.resize(ramp, (37, 45)) * counts[:, None]).sum(), ramp)
    return loss, given, (reached == 0).expand(given.pred.shape)


def losses_of(loss: Loss, given: Scene) -> list[Tensor]:
    """Return the loss in one piece, and that of its parts in bands."""
    summed = [part for _, part in loss.split() if isinstance(part, SummedLoss)]
    bands = [part.value(bands_of(part, given)) for part in summed]
    return ([taken(loss, given.pred, given)] if given.pred.shape[-2:] == given.target.shape[-2:] else []) + bands


@every_loss
@pytest.mark.parametrize("coarse", [(37, 45), (10, 12), (9, 15)])
@pytest.mark.parametrize("bad", cases.few([inf, -inf, nan], [nan]))
def test_what_does_not_count_may_be_infinite_or_nan(
    name: str, change: dict[str, Any], coarse: tuple[int, int], bad: float
) -> None:
    loss, given, nowhere = left_out(name, change, coarse)
    assert nowhere.any()
    broken = torch.where(nowhere, bad, given.pred.detach()).requires_grad_()
    target = given.target
    if loss.target == "values" and coarse == (37, 45):
        target = torch.where(nowhere, torch.nan, target)
    other = given._replace(pred=broken, target=target)
    for wanted, found in zip(losses_of(loss, given), losses_of(loss, other), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-7)
        (right,), (gradient,) = torch.autograd.grad(wanted, given.pred), torch.autograd.grad(found, broken)
        assert (gradient[nowhere] == 0).all()
        torch.testing.assert_close(gradient, right, rtol=1e-5, atol=1e-7)
