from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from densepred.loss.ce import CrossEntropy
from densepred.types import VOID, UserError


def scene(classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(2, classes, 9, 7, generator=draw)
    target = torch.randint(0, classes, (2, 9, 7), generator=draw, dtype=torch.uint8)
    target[0, 2:4] = VOID
    return logits, target


@pytest.mark.parametrize("weights", [None, [1.0, 0.0, 2.5, 0.3]])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_it_is_the_cross_entropy_of_torch(weights: list[float] | None, smoothing: float) -> None:
    logits, target = scene()
    logits.requires_grad_()
    found = CrossEntropy(weights, smoothing)(logits, target)
    numbers = None if weights is None else torch.tensor(weights)
    wanted = F.cross_entropy(logits, target.long(), numbers, ignore_index=VOID, label_smoothing=smoothing)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=0)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (found, wanted)]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-7)


def test_a_weight_map_weighs_the_mean() -> None:
    logits, target = scene()
    weight = torch.rand(2, 9, 7)
    each = F.cross_entropy(logits, target.long(), ignore_index=VOID, reduction="none")
    wanted = (each * weight).sum() / (weight * (target != VOID)).sum()
    torch.testing.assert_close(CrossEntropy()(logits, target, weight), wanted)


def test_weight_zero_is_as_good_as_void() -> None:
    logits, target = scene()
    weight = torch.ones(2, 9, 7)
    weight[1, :3] = 0
    void = target.clone()
    void[1, :3] = VOID
    torch.testing.assert_close(CrossEntropy()(logits, target, weight), CrossEntropy()(logits, void))


def test_one_channel_is_binary_cross_entropy() -> None:
    logits, target = torch.randn(2, 1, 9, 7), torch.randint(0, 2, (2, 9, 7), dtype=torch.uint8)
    wanted = F.binary_cross_entropy_with_logits(logits[:, 0], target.float())
    torch.testing.assert_close(CrossEntropy()(logits, target), wanted)


@pytest.mark.parametrize(
    "weights", [[1.0, 2.0], [1.0, -1.0, 1.0, 1.0], [0.0] * 4, [float("nan")] * 4, "median_frequency"]
)
def test_class_weights_that_do_not_fit_are_named(weights: list[float]) -> None:
    logits, target = scene()
    with pytest.raises(UserError, match=r"loss\.class_weights.*give one"):
        CrossEntropy(weights)(logits, target)


def test_smoothing_outside_0_to_1_is_refused() -> None:
    with pytest.raises(UserError, match=r"loss\.label_smoothing: 1\.5"):
        CrossEntropy(label_smoothing=1.5)


def test_class_weights_stay_out_of_checkpoints() -> None:
    assert not CrossEntropy([1.0, 2.0]).state_dict()
