"""Weighted sums of losses, from code, from YAML and from the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from densepred.build import allowlist
from densepred.build.instantiate import build, check
from densepred.contracts import SummedLoss
from densepred.errors import UserError
from densepred.loss.bce import BinaryCrossEntropy
from densepred.loss.boundary import Boundary
from densepred.loss.ce import CrossEntropy
from densepred.loss.dice import Dice
from densepred.loss.focal import Focal
from densepred.loss.lovasz import Lovasz
from densepred.loss.mse import MeanSquaredError
from densepred.loss.sum import Sum
from densepred.loss.topk import TopK
from densepred.ops.loss import banded
from densepred.ops.loss.softmax import SoftmaxLoss
from densepred.ops.regions.distance_maps import signed_distances
from densepred.types import VOID, Info
from tests import running


def scene() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    target = torch.randint(0, 3, (2, 9, 7), dtype=torch.uint8)
    target[0, :2] = VOID
    distance = torch.stack([signed_distances(one, 3) for one in target])
    return torch.randn(2, 3, 9, 7), target, torch.rand(2, 9, 7), distance


def test_it_is_the_weighted_sum_whatever_its_parts() -> None:
    logits, target, weight, distance = scene()
    inner = Sum([{"weight": 3.0, "loss": Lovasz()}, {"loss": BinaryCrossEntropy()}])
    terms = {
        "a": {"weight": 0.5, "loss": CrossEntropy()},
        "b": {"weight": -0.1, "loss": Boundary()},
        "c": {"loss": TopK()},
        "d": {"weight": 2, "loss": inner},
    }
    wanted = 0.5 * CrossEntropy()(logits, target, weight) - 0.1 * Boundary()(logits, target, weight, distance)
    wanted = wanted + TopK()(logits, target, weight) + 6 * Lovasz()(logits, target, weight)
    wanted = wanted + 2 * BinaryCrossEntropy()(logits, target, weight)
    torch.testing.assert_close(Sum(terms)(logits, target, weight, distance), wanted)


def test_formulas_of_sums_share_a_pass_and_those_of_a_softmax_its_closed_form() -> None:
    softmaxes = Sum([{"loss": CrossEntropy()}, {"loss": Dice()}])
    ((weight, joined),) = softmaxes.split()
    assert weight == 1
    assert isinstance(joined, SoftmaxLoss)
    mixed = Sum([{"loss": Lovasz(), "weight": 4.0}, {"loss": CrossEntropy()}, {"loss": Boundary()}])
    first, second = mixed.split()
    assert isinstance(first[1], SummedLoss)
    assert not isinstance(first[1], SoftmaxLoss)
    assert first[1].distance
    assert (second[0], type(second[1])) == (4.0, Lovasz)


@pytest.mark.parametrize("other", [Focal(), BinaryCrossEntropy(), Dice()], ids=lambda loss: type(loss).__name__)
def test_gradients_in_bands_are_those_of_the_terms_on_enlarged_logits(other: SummedLoss) -> None:
    """One pass keeps the gradient of the first sum alone, which is not enough for two losses."""
    _, target, weight, _ = scene()
    coarse = torch.randn(2, 3, 5, 4, requires_grad=True)
    enlarged = F.interpolate(coarse, target.shape[-2:], mode="bilinear", align_corners=False)
    wanted = 0.5 * CrossEntropy()(enlarged, target, weight) + 3 * other(enlarged, target, weight)
    ((share, joined),) = Sum([{"loss": CrossEntropy(), "weight": 0.5}, {"loss": other, "weight": 3.0}]).split()
    assert isinstance(joined, SummedLoss)
    found = share * joined.value(banded.sums(joined, coarse, target, weight))
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(torch.autograd.grad(found, coarse), torch.autograd.grad(wanted, coarse))


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({}, r"loss\.terms: empty; give losses, as in loss=sum \+loss@loss\.terms\.a\.loss=ce"),
        ([{"weight": 1.0}], r"loss\.terms\[0\]: not of the form"),
        ({"a": {"loss": CrossEntropy(), "wieght": 1.0}}, r"loss\.terms\.a: not of the form"),
        ({"a": {"loss": CrossEntropy(), "weight": "much"}}, r"loss\.terms\.a\.weight: much; give a number"),
        ([{"loss": CrossEntropy()}, {"loss": MeanSquaredError()}], r"cannot be added; give losses of one kind"),
    ],
)
def test_sums_that_make_no_sense_are_refused(terms: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Sum(terms)


TYPED = ("loss=sum", "+loss@loss.terms.a.loss=ce", "+loss@loss.terms.b.loss=lovasz", "+loss.terms.b.weight=0.5")


def test_terms_are_chosen_by_name_on_the_command_line(plain: Callable[..., dict[str, Any]]) -> None:
    tree = plain(*TYPED, "loss.terms.a.loss.label_smoothing=0.2")
    assert check(tree) == []
    loss = build(tree["task"]["losses"]["semantic"])
    assert [(weight, type(part).__name__) for weight, part in loss.split()] == [
        (1.0, "Joined" + "Softmax"),
        (0.5, "Lovasz"),
    ]
    assert loss.split()[0][1].summed[0].smoothing == 0.2


def test_a_checkpoint_with_a_sum_can_be_opened(plain: Callable[..., dict[str, Any]]) -> None:
    for typed in (TYPED, ("loss=dice_boundary",)):
        node = plain(*typed)["task"]
        allowlist.check(node, "task")
        task = build(node, [], "task", info=Info(classes=("a", "b", "c")))
        assert isinstance(task.losses["semantic"], Sum)
    assert task.codec.map.distance


def test_a_boundary_loss_trains_by_its_name_alone(tmp_path) -> None:
    for i, typed in enumerate((("loss=boundary",), ("loss=dice_boundary", "task.codec.sigmoid=false"), TYPED)):
        assert running.train(tmp_path / str(i), *typed, "trainer.max_steps=2") == 0
