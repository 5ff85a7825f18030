"""Boundary loss and the distances it takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from densepred.loss.boundary import Boundary
from densepred.ops.regions.distance_maps import signed_distances
from densepred.types import VOID
from tests.reference import slow_losses


def scene() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Class 3 is in no image."""
    target = torch.randint(0, 3, (2, 6, 5), dtype=torch.uint8)
    target[0, 2], target[1, :, :4] = VOID, 1
    return torch.randn(2, 4, 6, 5), target, torch.rand(2, 6, 5)


def distances(target: torch.Tensor, classes: int) -> torch.Tensor:
    return torch.stack([signed_distances(one, classes) for one in target])


def test_distances_are_those_of_a_search_over_all_pixels() -> None:
    _, target, _ = scene()
    found = signed_distances(target[0], 4)
    for k in range(4):
        for y in range(6):
            for x in range(5):
                wanted = slow_losses.signed_distance(target[0], k, y, x)
                assert found[k, y, x].item() == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("label", [0, 1, VOID])
def test_an_image_of_one_class_or_of_none_has_no_boundary(label: int) -> None:
    assert (signed_distances(torch.full((4, 5), label, dtype=torch.uint8), 3) == 0).all()


def test_it_equals_a_loop_over_pixels() -> None:
    logits, target, weight = scene()
    found = Boundary()(logits, target, weight, distances(target, 4))
    assert found.item() == pytest.approx(slow_losses.boundary(logits, target, weight), rel=1e-3)


def test_it_is_the_loss_of_the_authors_up_to_a_constant() -> None:
    """Their distances are ours + 1/2, their loss lacks the term of the target, and they have no void."""
    logits, target = torch.randn(2, 3, 8, 9, requires_grad=True), torch.randint(0, 3, (2, 8, 9), dtype=torch.uint8)
    maps = []
    for one in target.numpy():
        inside = np.stack([one == k for k in range(3)])
        maps.append([distance_transform_edt(~m) * ~m - (distance_transform_edt(m) - 1) * m for m in inside])
    theirs = torch.tensor(np.array(maps), dtype=torch.float32)
    truth = torch.nn.functional.one_hot(target.long(), 3).permute(0, 3, 1, 2)
    wanted = (logits.softmax(1) * theirs).mean()
    found = Boundary()(logits, target, None, distances(target, 3))
    torch.testing.assert_close(found, wanted - (truth * theirs).mean(), rtol=1e-3, atol=1e-4)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (found, wanted)]
    torch.testing.assert_close(*gradients, rtol=2e-3, atol=1e-6)


def test_a_far_mistake_costs_more_than_a_near_one() -> None:
    target = torch.zeros(1, 1, 9, dtype=torch.uint8)
    target[..., 0] = 1
    losses = []
    for place in (1, 8):
        logits = torch.full((1, 1, 1, 9), -20.0)
        logits[..., 0] = logits[..., place] = 20
        losses.append(Boundary(include_background=False)(logits, target, None, distances(target, 2)).item())
    assert losses == pytest.approx([0.5 / 9, 7.5 / 9], rel=1e-3)
