"""Class maps with unlike images, and the check of a band in closed form."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from densepred.ops.loss.softmax import Softmax, SoftmaxBand, Term
from densepred.types import VOID

Statistics = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def scene(classes: int, channels: int | None = None, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Draw logits in float64, a class map and weights of three images.

    The first holds all classes and a row of void, the second class 0 alone, the third only void.
    """
    draw = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(3, channels or classes, 5, 7, generator=draw, dtype=torch.float64)
    target = torch.randint(0, classes, (3, 5, 7), generator=draw, dtype=torch.uint8)
    target[0, :4].view(-1)[:classes] = torch.arange(classes, dtype=torch.uint8)
    target[0, 4], target[1], target[2] = VOID, 0, VOID
    weight = torch.rand(3, 5, 7, generator=draw, dtype=torch.float64)
    weight[:, :, 2] = 0
    return logits, target, weight


def check_term(
    statistics: Statistics, term: Callable[[Softmax], Term], logits: Tensor, target: Tensor, weight: Tensor | None
) -> None:
    """Assert that a term of a softmax has the sums of `statistics` and the gradient that autograd takes of them."""
    x = logits.clone().requires_grad_()
    wanted = statistics(x, target, weight)
    grad = torch.randn(wanted.shape, dtype=wanted.dtype)
    (slope,) = torch.autograd.grad(wanted, x, grad)
    # A softmax needs exponentials only up to a factor per pixel.
    softmax = Softmax(logits.exp() * (torch.rand(target[:, None].shape) + 0.5), target, weight)
    band = SoftmaxBand(softmax, [term(softmax)])
    torch.testing.assert_close(band.sums(), wanted.detach())
    torch.testing.assert_close(band.gradient(grad), slope)
