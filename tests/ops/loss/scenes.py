"""Class maps with unlike images, and the checks of a band in closed form and of kernels."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.loss.ce import CrossEntropy
from densepred.loss.ce_dice import CrossEntropyDice
from densepred.loss.dice import Dice
from densepred.loss.focal import Focal
from densepred.loss.focal_tversky import FocalTversky
from densepred.loss.generalised_dice import GeneralisedDice
from densepred.loss.jaccard import Jaccard
from densepred.ops.loss import fused
from densepred.ops.loss.softmax import Softmax, SoftmaxBand, Term
from densepred.ops.resize.resample import resize
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


def drawn(
    classes: int, source: tuple[int, int], size: tuple[int, int], labels: torch.dtype = torch.uint8
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw logits (2, K, *source) in float32, a class map (2, *size) and weights of this shape."""
    draw = torch.Generator().manual_seed(classes)
    logits = 3 * torch.randn(2, classes, *source, generator=draw)
    target = torch.randint(0, max(2, classes), (2, *size), generator=draw).to(labels)
    weight = torch.rand(2, *size, generator=draw)
    weight[:, :, 0] = 0
    return logits, target, weight


LAST, HALF = torch.channels_last, torch.float16
SMOOTH = CrossEntropy([1.0, 2.0, 0.5], 0.1)
BOTH = CrossEntropyDice(class_weights=[1.0, 2.0, 0.5], label_smoothing=0.1)
THREE = Dice(per_image=True, include_background=False)
FUSED: dict[str, tuple[Any, ...]] = {
    "odd": (CrossEntropy(), 3, (2, 3), (5, 8), {"void": 1}),
    "aligned": (SMOOTH, 3, (2, 3), (5, 8), {"align_corners": True, "layout": LAST}),
    "weighted": (BOTH, 3, (2, 3), (4, 6), {"weighted": True}),
    "same size": (BOTH, 3, (3, 5), (3, 5), {"weighted": True, "layout": LAST}),
    "half": (Focal(alpha=0.3), 1, (2, 2), (6, 8), {"dtype": HALF}),
    "smaller": (THREE, 3, (7, 9), (4, 5), {"void": 1}),
    "one row": (CrossEntropy(), 3, (1, 1), (5, 4), {"labels": torch.int64}),
    "stride 1 in one direction": (Focal(gamma=0.5), 3, (4, 3), (4, 9), {}),
    "many classes": (CrossEntropy(), 150, (2, 3), (7, 12), {"layout": LAST}),
    "wide": (FocalTversky(), 5, (2, 70), (5, 280), {"void": 1}),
    "tall": (Jaccard(), 2, (9, 2), (36, 9), {"void": 4, "dtype": torch.bfloat16}),
    "large steps": (CrossEntropy(), 2, (2, 2), (32, 40), {}),
    "generalised": (GeneralisedDice(), 4, (4, 4), (15, 15), {"labels": torch.int32}),
}
"""Losses with the number of classes, the sizes of logits and ground truth, and options of `check_fused`."""


def check_fused(
    loss: SummedLoss,
    classes: int,
    source: tuple[int, int],
    size: tuple[int, int],
    options: dict[str, Any],
    device: str = "cpu",
) -> None:
    """Assert that kernels have the sums and the gradient of the plain way, up to rounding."""
    loss = copy.deepcopy(loss).to(device)
    logits, target, weight = (x.to(device) for x in drawn(classes, source, size, options.get("labels", torch.uint8)))
    target[0, : options.get("void", 0)] = VOID
    weight = weight if options.get("weighted") else None
    logits = logits.to(options.get("dtype", torch.float32))
    logits = logits.contiguous(memory_format=options.get("layout", torch.contiguous_format)).requires_grad_()
    align_corners = options.get("align_corners", False)
    found = fused.sums(loss, logits, target, weight, align_corners)  # pyright: ignore[reportArgumentType]
    (gradient,) = torch.autograd.grad(loss.value(found), logits)
    exact = logits.detach().double().requires_grad_()
    wanted = loss.double().statistics(resize(exact, size, align_corners), target, weight)
    (other,) = torch.autograd.grad(loss.value(wanted), exact)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), wanted, rtol=2e-6, atol=2e-6 * float(wanted.detach().abs().max()))
    assert gradient.dtype == logits.dtype
    assert gradient.stride() == logits.stride() or classes == 1
    # Triton's interpreter cuts digits off where a device rounds to the nearest. Gradients of a mean over many pixels
    # are below the smallest normal number of float16, where the last digit has a fixed size.
    form, parts = torch.finfo(logits.dtype), 2 if device == "cuda" else 1
    last_digit = form.smallest_normal * form.eps / parts
    assert (gradient.double() - other).abs().max() <= (form.eps / parts + 4e-6) * other.abs().max() + last_digit
