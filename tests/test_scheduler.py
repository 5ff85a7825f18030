"""Schedules against torch's, step by step, and as functions without state."""

from __future__ import annotations

import pytest
import torch
from torch.optim import lr_scheduler

from densepred.errors import UserError
from densepred.scheduler import Constant, Cosine, OneCycle, Poly, Step

TOTAL = 50


def of_torch(make, lr: float = 1.0) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule = make(optimizer)
    rates = []
    for _ in range(TOTAL):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Poly(0.9), lambda o: lr_scheduler.PolynomialLR(o, TOTAL, 0.9)),
        (Cosine(0.1), lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL, eta_min=0.1)),
        (Step((0.6, 0.8), 0.1), lambda o: lr_scheduler.MultiStepLR(o, [30, 40], 0.1)),
        (Constant(), lambda o: lr_scheduler.ConstantLR(o, factor=1.0)),
    ],
    ids=["poly", "cosine", "step", "constant"],
)
def test_schedules_equal_those_of_torch(ours, theirs) -> None:
    assert [ours(step, TOTAL) for step in range(TOTAL)] == pytest.approx(of_torch(theirs), abs=1e-6)


def test_one_cycle_rises_to_one_and_falls_far_below_its_start() -> None:
    rates = [OneCycle(0.3, 25, 1e4)(step, 1000) for step in range(1001)]
    assert rates[0] == pytest.approx(1 / 25)
    assert max(rates) == rates[300] == pytest.approx(1.0)
    assert rates[1000] == pytest.approx(1 / 25e4)


def test_warm_up_is_linear_and_may_be_a_share_of_the_run() -> None:
    steps, share = Poly(warmup=4), Poly(warmup=0.08)
    assert [steps(step, TOTAL) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert [steps(step, TOTAL) for step in range(TOTAL)] == [share(step, TOTAL) for step in range(TOTAL)]
    assert steps(4, TOTAL) == 1.0


@pytest.mark.parametrize("schedule", [Poly(), Cosine(), Step(), OneCycle(), Constant()])
def test_without_a_length_the_rate_stays(schedule) -> None:
    assert {schedule(step, None) for step in range(100)} == {1.0}


def test_wrong_shares_are_refused() -> None:
    with pytest.raises(UserError, match=r"scheduler\.milestones"):
        Step((5, 8))
    with pytest.raises(UserError, match=r"scheduler\.warmup"):
        Poly(warmup=-1)
