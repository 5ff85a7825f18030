"""Lovasz-Softmax and the Lovasz hinge."""

from __future__ import annotations

import pytest
import torch

from densepred.loss.lovasz import Lovasz
from densepred.types import VOID
from tests.reference import slow_losses


def scene(channels: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The last class is in no image, void pixels in the first."""
    classes = max(2, channels - 1)
    logits = torch.randn(2, channels, 4, 5)
    target = torch.randint(0, classes, (2, 4, 5), dtype=torch.uint8)
    target[:, 3, :classes] = torch.arange(classes, dtype=torch.uint8)
    target[0, 1] = VOID
    return logits, target, torch.rand(2, 4, 5)


@pytest.mark.parametrize("per_image", [False, True])
@pytest.mark.parametrize("include_absent", [False, True])
@pytest.mark.parametrize("include_background", [False, True])
def test_it_is_the_extension_by_its_definition(per_image: bool, include_absent: bool, include_background: bool) -> None:
    logits, target, weight = scene(4)
    losses = []
    for images in [[0], [1]] if per_image else [[0, 1]]:
        known = target[images] != VOID
        truth, p, w = target[images][known], logits[images].softmax(1).movedim(1, -1)[known], weight[images][known]
        each = [
            slow_losses.lovasz((p[:, k] - (truth == k).float()).abs().tolist(), (truth == k).tolist(), w.tolist())
            for k in range(0 if include_background else 1, 4)
            if include_absent or (truth == k).any()
        ]
        losses.append(sum(each) / len(each))
    found = Lovasz(per_image, include_background, include_absent)(logits, target, weight)
    assert found.item() == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_one_channel_is_the_hinge_by_its_definition() -> None:
    logits, target, weight = scene(1)
    known = target != VOID
    truth, x = target[known] == 1, logits[:, 0][known]
    errors = (1 - x * (2.0 * truth - 1)).relu()
    wanted = slow_losses.lovasz(errors.tolist(), truth.tolist(), weight[known].tolist())
    assert Lovasz()(logits, target, weight).item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("per_image", [False, True])
@pytest.mark.parametrize("channels", [1, 4])
def test_it_is_that_of_segmentation_models_pytorch(per_image: bool, channels: int) -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    logits, target, _ = scene(channels)
    logits.requires_grad_()
    peer = smp.losses.LovaszLoss("binary" if channels == 1 else "multiclass", per_image, ignore_index=VOID)
    wanted, found = peer(logits, target.long()), Lovasz(per_image)(logits, target)
    torch.testing.assert_close(found, wanted)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (found, wanted)]
    torch.testing.assert_close(*gradients)


def test_at_certain_predictions_it_is_one_minus_the_jaccard_index() -> None:
    target, predicted = (torch.randint(0, 3, (1, 9, 9), dtype=torch.uint8) for _ in range(2))
    logits = 100 * torch.nn.functional.one_hot(predicted.long(), 3).permute(0, 3, 1, 2).float()
    index = [((target == k) & (predicted == k)).sum() / ((target == k) | (predicted == k)).sum() for k in range(3)]
    assert Lovasz()(logits, target).item() == pytest.approx(1 - sum(index).item() / 3, rel=1e-5)


def test_the_hinge_takes_an_image_without_the_class() -> None:
    target = torch.zeros(1, 3, 3, dtype=torch.uint8)
    assert Lovasz()(torch.full((1, 1, 3, 3), -2.0), target).item() == 0
    assert Lovasz()(torch.full((1, 1, 3, 3), 2.0), target).item() == pytest.approx(3)
