"""Kernels of losses in Triton's interpreter, against the plain way: torch's interpolation, then the loss in one piece.

`tests/gpu/test_fused.py` runs the same cases compiled.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.errors import Notice
from densepred.loss.bce import BinaryCrossEntropy
from densepred.loss.ce import CrossEntropy
from densepred.loss.ce_dice import CrossEntropyDice
from densepred.loss.dice import Dice
from densepred.loss.focal import Focal
from densepred.loss.focal_tversky import FocalTversky
from densepred.ops.loss import banded, fused
from densepred.ops.loss.softmax import Probabilities, SoftmaxLoss, Term
from densepred.ops.resize.resample import resize
from densepred.types import VOID
from tests.ops.loss.interpreted import interpreted
from tests.ops.loss.scenes import FUSED, check_fused, drawn

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, of inf and NaN in the interpreter


@interpreted
@pytest.mark.parametrize("name", ["odd", "aligned", "weighted", "same size", "half"])
def test_kernels_agree_with_the_plain_way(name: str) -> None:
    check_fused(*FUSED[name])


@interpreted
@pytest.mark.slow
@pytest.mark.parametrize("name", FUSED)
def test_kernels_agree_with_the_plain_way_in_all_cases(name: str) -> None:
    check_fused(*FUSED[name])


@interpreted
def test_void_alone_costs_nothing_and_its_logits_may_be_anything() -> None:
    logits, target, _ = drawn(3, (2, 3), (5, 7))
    logits[0, :, :, 0] = torch.nan
    target[0, :, :4], target[1] = VOID, VOID
    logits[1] = torch.inf
    logits.requires_grad_()
    found = fused.sums(CrossEntropy(), logits, target, None, False)
    (gradient,) = torch.autograd.grad(CrossEntropy().value(found), logits)
    assert found[1].tolist() == [0, 0]
    assert found.isfinite().all()
    assert gradient.isfinite().all()
    assert not gradient[1].any()
    assert not gradient[0, :, :, 0].any()
    assert gradient[0].any()


@interpreted
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_logits_without_a_softmax_are_never_hidden(value: float) -> None:
    logits, target, _ = drawn(2, (2, 2), (3, 3))
    target[:] = 1
    logits[0, :, 0, 0] = value
    logits.requires_grad_()
    found = fused.sums(CrossEntropy(), logits, target, None, False)
    (gradient,) = torch.autograd.grad(CrossEntropy().value(found), logits)
    assert found[0, 0].isnan()
    assert gradient[0].isnan().any()
    assert found[1].isfinite().all()


@interpreted
def test_labels_of_no_class_make_the_loss_nan() -> None:
    logits, target, _ = drawn(2, (2, 2), (3, 3))
    target[0, 0, 0] = 7
    assert fused.sums(CrossEntropy(), logits, target, None, False)[0, 0].isnan()


@interpreted
def test_two_backward_passes_agree_in_every_bit_and_leave_inputs_alone() -> None:
    logits, target, _ = drawn(3, (2, 3), (5, 7), labels=torch.int64)
    before = logits.clone(), target.clone()
    logits.requires_grad_()
    value = Dice().value(fused.sums(Dice(), logits, target, None, False))
    first, second = (torch.autograd.grad(value, logits, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(logits.detach(), before[0])
    assert torch.equal(target, before[1])


class _OnCuda:
    """As much of a tensor as the rule looks at."""

    device = torch.device("cuda")

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def numel(self) -> int:
        return 1


class _Unknown(SoftmaxLoss):
    fused = False

    def terms(self, softmax: Probabilities) -> list[Term]:
        return []

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return pred


@pytest.mark.parametrize(
    ("loss", "dtype", "wanted"),
    [
        (CrossEntropy(), torch.float32, True),
        (CrossEntropyDice(), torch.bfloat16, True),
        (FocalTversky(), torch.float16, True),
        (Focal(), torch.float64, False),
        (BinaryCrossEntropy(), torch.float32, False),
        (_Unknown(), torch.float32, False),
    ],
    ids=lambda value: getattr(type(value), "__name__", str(value)),
)
def test_the_rule_takes_losses_of_a_softmax_on_cuda(
    monkeypatch: pytest.MonkeyPatch, loss: SummedLoss, dtype: torch.dtype, wanted: bool
) -> None:
    monkeypatch.setattr(fused, "works", lambda device: True)
    on_cuda: Any = _OnCuda(dtype)
    assert fused.chosen(loss, on_cuda) == wanted
    assert not fused.chosen(loss, torch.zeros(1, 2, 1, 1, dtype=dtype))


@interpreted
def test_a_trial_before_the_first_loss_passes_where_kernels_work() -> None:
    fused.works.cache_clear()
    with torch.inference_mode():
        assert fused.works(torch.device("cpu"))


@pytest.mark.parametrize("wrong", [False, True])
def test_kernels_that_fail_or_differ_are_left_out_with_a_notice(monkeypatch: pytest.MonkeyPatch, wrong: bool) -> None:
    def fail(*_: Any) -> bool:
        if wrong:
            return False
        raise RuntimeError("Failed to find C compiler\nand more")

    fused.works.cache_clear()
    monkeypatch.setattr(fused, "_agrees", fail)
    on_cuda: Any = _OnCuda(torch.float32)
    reason = "results differ" if wrong else r"RuntimeError: Failed to find C compiler\)"
    with pytest.warns(Notice, match=rf"trainer.fused_loss: Triton fails on cuda \({reason}"):
        assert not fused.chosen(CrossEntropy(), on_cuda)
    assert not fused.chosen(CrossEntropy(), on_cuda)
    fused.works.cache_clear()


def test_kernels_are_used_where_the_rule_takes_them_and_not_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, target, weight = drawn(2, (2, 2), (3, 3))
    used = list[tuple[int, ...]]()

    def noted(loss: SummedLoss, logits: Tensor, target: Tensor, weight: Tensor, align_corners: bool) -> Tensor:
        used.append(tuple(weight.shape))
        return loss.statistics(resize(logits, (3, 3), align_corners), target, weight)

    monkeypatch.setattr(fused, "chosen", lambda loss, logits: True)
    monkeypatch.setattr(fused, "sums", noted)
    found = [banded.sums(CrossEntropy(), logits, target, weight[:1], kernels=kernels) for kernels in (True, False)]
    assert used == [(2, 3, 3)]
    torch.testing.assert_close(*found)


@pytest.mark.parametrize(("classes", "wanted"), [(1, 2), (2, 2), (3, 4), (4, 4), (19, 8), (150, 8)])
def test_programs_take_few_idle_classes(classes: int, wanted: int) -> None:
    assert fused.classes_per_program(classes) == wanted


def test_runs_cover_all_rows_with_one_first_location_each() -> None:
    starts, counts = fused.runs(5, 37, False, 4, torch.device("cpu"))
    first = fused.grid(5, 37, False, torch.device("cpu")).first
    assert counts.max() == 4
    assert starts.tolist() == [0, *counts.cumsum(0)[:-1].tolist()]
    assert counts.sum() == 37
    assert all(len(first[a : a + n].unique()) == 1 for a, n in zip(starts.tolist(), counts.tolist(), strict=True))
