"""Every loss of configs/loss is a finite mean over what counts, and the same in bands as in one piece."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import yaml
from torch import Tensor

from densepred.build.instantiate import build
from densepred.contracts import Loss, SummedLoss
from densepred.ops.loss import banded
from densepred.ops.regions.distance_maps import signed_distances
from densepred.ops.resize import resample
from densepred.types import VOID
from tests import cases
from tests.contracts.numbers import numbers

FOLDER = Path(__file__).parents[2] / "configs" / "loss"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
CLASSES = 3

CE = {"_target_": "densepred.loss.ce.CrossEntropy"}
SORTED = {"_target_": "densepred.loss.lovasz.Lovasz"}
SOFTMAXES = [
    {"weight": 0.5, "loss": {"_target_": "densepred.loss.focal.Focal"}},
    {"weight": 2.0, "loss": {"_target_": "densepred.loss.jaccard.Jaccard", "smooth": 0.0}},
]
SUMS = [
    {"loss": CE},
    {"weight": 0.3, "loss": {"_target_": "densepred.loss.boundary.Boundary"}},
    {"weight": 0.7, "loss": {"_target_": "densepred.loss.bce.BinaryCrossEntropy"}},
]

# Arguments that lead through other lines than the defaults do.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "ce": [{"class_weights": [1.0, 0.5, 2.0]}, {"label_smoothing": 0.1, "class_weights": [1.0, 0.5, 2.0]}],
    "focal": [{"gamma": 0.5, "alpha": 0.25}, {"alpha": [1.0, 2.0, 3.0]}],
    "focal_one_vs_rest": [{"gamma": 0.5, "alpha": 0.25}, {"alpha": [0.2, 0.5, 1.0], "activation": "softmax"}],
    "dice": [{"per_image": True, "include_absent": True, "smooth": 0.0}, {"include_background": False}],
    "ce_dice": [{"label_smoothing": 0.1, "per_image": True}, {"class_weights": [1.0, 0.5, 2.0], "dice": 0.3}],
    "l1": [{"beta": 0.5}],
    "mse": [{"normalise": "count"}],
    "ohkm": [{"normalise": "count"}],
    "bce": [{"pos_weight": 3.0}, {"pos_weight": [0.5, 2.0, 1.0]}],
    "one_vs_rest": [{"activation": "softmax"}, {"class_weights": [1.0, 0.5, 2.0]}],
    "tversky": [
        {"alpha": 0.6, "beta": 0.2, "smooth": 0.0, "per_image": True},
        {"include_background": False, "include_absent": True},
    ],
    "focal_tversky": [{"exponent": 2.0, "per_image": True, "include_absent": True}],
    "jaccard": [{"per_image": True, "include_absent": True, "smooth": 0.0}, {"include_background": False}],
    "generalised_dice": [{"power": 1.0, "per_image": True}, {"include_background": False, "include_absent": True}],
    "lovasz": [{"per_image": True, "include_absent": True}, {"include_background": False}],
    "ohem": [{"min_kept": 20}, {"min_kept": 0, "threshold": 0.5, "class_weights": [1.0, 0.5, 2.0]}],
    "topk": [{"top_k_percent": 1.0}, {"normalise": "count"}, {"class_weights": [1.0, 0.5, 2.0]}],
    "boundary": [{"include_background": False}],
    "sigmoid_focal": [{"gamma": 0.5, "alpha": None}],
    "center_focal": [{"alpha": 1.5, "beta": 2.0}],
    "sum": [{"terms": SOFTMAXES}, {"terms": SUMS}, {"terms": [*SOFTMAXES, {"weight": 0.2, "loss": SORTED}]}],
}
CASES = [(name, change) for name in NAMES for change in ([{}] * (name != "sum") + VARIANTS.get(name, []))]


class Scene(NamedTuple):
    pred: Tensor
    target: Tensor
    weight: Tensor | None
    distance: Tensor | None = None


def make(name: str, change: dict[str, Any]) -> Loss:
    loss = build({**yaml.safe_load((FOLDER / f"{name}.yaml").read_text()), **change})
    assert isinstance(loss, Loss)
    return loss


def summed(name: str, change: dict[str, Any]) -> SummedLoss | None:
    """Return the part of a loss that is a formula of sums, if any."""
    loss = make(name, change).split()[0][1]
    return loss if isinstance(loss, SummedLoss) else None


def every(chosen: list[tuple[str, dict[str, Any]]], quick: int | None = None) -> pytest.MarkDecorator:
    """Return the mark of a test of these losses; of each of them `make test` takes the first `quick` arguments."""
    names = [f"{name}-{list(change)}-{i}" if change else name for i, (name, change) in enumerate(chosen)]
    before = [sum(name == other for other, _ in chosen[:i]) for i, (name, _) in enumerate(chosen)]
    marked = [case if quick is None or n < quick else cases.slow(case) for case, n in zip(chosen, before, strict=True)]
    return pytest.mark.parametrize(("name", "change"), marked, ids=names)


SUMMED = [case for case in CASES if summed(*case) is not None]
every_loss, every_loss_briefly = every(CASES), every(CASES, 1)
every_summed_loss, every_summed_loss_briefly = every(SUMMED), every(SUMMED, 1)


def scene(
    loss: Loss,
    coarse: tuple[int, int],
    size: tuple[int, int] = (37, 45),
    images: int = 2,
    weighted: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Scene:
    draw = torch.Generator().manual_seed(3)
    channels = CLASSES if loss.target == "classes" else numbers(loss).channels
    pred = (3 * torch.randn(images, channels, *coarse, generator=draw)).to(dtype).requires_grad_()
    if loss.target == "classes":
        target = torch.randint(0, CLASSES, (images, *size), generator=draw, dtype=torch.uint8)
        target[0, 3:6] = VOID
    else:
        target = numbers(loss).truth(torch.rand(images, channels, *size, generator=draw))
    weight = torch.rand(images, *size, generator=draw) if weighted else None
    distance = torch.stack([signed_distances(one, CLASSES) for one in target]) if loss.distance else None
    return Scene(pred, target, weight, distance)


def taken(function: Callable[..., Tensor], pred: Tensor, scene: Scene) -> Tensor:
    """Return a loss, or its sums, of a prediction in the size of the ground truth."""
    more = [] if scene.distance is None else [scene.distance]
    return function(pred, scene.target, scene.weight, *more)


def bands_of(loss: SummedLoss, scene: Scene, align_corners: bool = False) -> Tensor:
    return banded.sums(loss, scene.pred, scene.target, scene.weight, align_corners, scene.distance)


def both(loss: SummedLoss, scene: Scene, align_corners: bool) -> list[tuple[Tensor, Tensor]]:
    """Loss and gradient in one piece and in bands."""
    size = (scene.target.shape[-2], scene.target.shape[-1])
    plain = taken(loss.statistics, resample.resize(scene.pred, size, align_corners), scene)
    bands = bands_of(loss, scene, align_corners)
    assert bands.shape == plain.shape
    assert bands.dtype == plain.dtype
    values = [loss.value(sums) for sums in (plain, bands)]
    return [(value, torch.autograd.grad(1.7 * value, scene.pred)[0]) for value in values]


@every_loss_briefly
def test_gradients_pass_a_check_by_differences(name: str, change: dict[str, Any]) -> None:
    loss = make(name, change).double()
    given = scene(loss, (8, 2), (8, 2), images=2, weighted=True, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: taken(loss, x, given), (given.pred,))


@every_loss
def test_nothing_that_counts_is_exactly_zero(name: str, change: dict[str, Any]) -> None:
    loss = make(name, change)
    given = scene(loss, (37, 45))
    nowhere = given._replace(weight=torch.zeros(2, 37, 45))
    scenes = [nowhere]
    if loss.target == "classes":
        void = torch.full_like(given.target, VOID)
        scenes += [given._replace(target=void), nowhere._replace(target=void)]
    for case in scenes:
        value = taken(loss, case.pred, case)
        assert value.item() == 0
        assert (torch.autograd.grad(value, case.pred)[0] == 0).all()
        for _, part in loss.split():
            if isinstance(part, SummedLoss):
                sums = bands_of(part, case)
                assert (sums == 0).all()
                assert part.value(sums).item() == 0
                assert (torch.autograd.grad(part.value(sums), case.pred)[0] == 0).all()


@every_summed_loss
def test_rows_of_zeros_change_nothing(name: str, change: dict[str, Any]) -> None:
    loss = summed(name, change)
    assert loss is not None
    given = scene(loss, (37, 45), weighted=True)
    sums = taken(loss.statistics, given.pred, given)
    padded = torch.cat([sums, torch.zeros(3, sums.shape[1])])
    assert loss.value(padded).item() == pytest.approx(loss.value(sums).item(), rel=1e-6)


@every_summed_loss
def test_images_give_the_sums_that_they_give_alone(name: str, change: dict[str, Any]) -> None:
    loss = summed(name, change)
    assert loss is not None
    given = scene(loss, (10, 12), weighted=True)
    alone = [bands_of(loss, Scene(*(None if x is None else x[i : i + 1] for x in given))) for i in range(2)]  # pyright: ignore[reportArgumentType]
    torch.testing.assert_close(bands_of(loss, given), torch.cat(alone))


@every_summed_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sums_are_float32_under_autocast(name: str, change: dict[str, Any], dtype: torch.dtype) -> None:
    loss = summed(name, change)
    assert loss is not None
    given = scene(loss, (10, 12), dtype=dtype)
    with torch.autocast("cpu", dtype):
        (plain, wanted), (bands, found) = both(loss, given, align_corners=False)
    assert plain.dtype == torch.float32
    torch.testing.assert_close(bands, plain, rtol=1e-6, atol=1e-7)
    assert found.dtype == dtype
    # One rounding to half precision of numbers that differ by their last bit of float32.
    torch.testing.assert_close(found, wanted, rtol=torch.finfo(dtype).eps, atol=1e-6)


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_loss_is_float32_under_autocast(name: str, change: dict[str, Any], dtype: torch.dtype) -> None:
    loss = make(name, change)
    given = scene(loss, (37, 45), weighted=True, dtype=dtype)
    with torch.autocast("cpu", dtype):
        found = taken(loss, given.pred, given)
    assert found.dtype == torch.float32
    wanted = taken(loss, given.pred.float(), given)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-7)


@every_loss
def test_the_best_prediction_is_the_known_optimum(name: str, change: dict[str, Any]) -> None:
    loss = make(name, change)
    given = scene(loss, (37, 45))
    if loss.target == "values":
        assert loss(numbers(loss).best(given.target), given.target).item() == pytest.approx(0, abs=1e-30)
        return
    if change.get("label_smoothing"):
        pytest.skip("smoothing has its optimum elsewhere")
    known = torch.where(given.target == VOID, 0, given.target).long()
    certain = 200 * torch.nn.functional.one_hot(known, CLASSES).permute(0, 3, 1, 2).float() - 100
    assert taken(loss, certain, given).item() == pytest.approx(0, abs=1e-6)
    assert taken(loss, -certain, given).item() > 0.1


@every_loss_briefly
def test_one_channel_is_the_binary_problem(name: str, change: dict[str, Any]) -> None:
    loss = make(name, change if name == "sum" else {})
    if loss.target == "values":
        pytest.skip("not of classes")
    x = torch.randn(2, 1, 9, 7, requires_grad=True)
    target = torch.randint(0, 2, (2, 9, 7), dtype=torch.uint8)
    distance = torch.stack([signed_distances(one, 2) for one in target]) if loss.distance else None
    one = taken(loss, x, Scene(x, target, None, distance))
    assert torch.autograd.grad(one, x, retain_graph=True)[0].abs().sum() > 0
    sure = torch.where(target == 1, 50.0, -50.0)[:, None]
    assert taken(loss, sure, Scene(sure, target, None, distance)).item() == pytest.approx(0, abs=1e-6)
    if sigmoids(loss) or "lovasz" in f"{name} {change}":
        return  # a second channel is a second problem; one channel of the Lovasz loss is its hinge
    two = torch.cat([torch.zeros_like(x), x], 1)
    wanted = taken(loss, two, Scene(two, target, None, distance))
    torch.testing.assert_close(one, wanted)
    gradients = [torch.autograd.grad(value, x)[0] for value in (one, wanted)]
    torch.testing.assert_close(*gradients)


def sigmoids(loss: Loss) -> bool:
    """Return True if a number added to all channels of a pixel changes the loss, as it does without a softmax."""
    given = scene(loss, (9, 7), (9, 7))
    return not torch.allclose(taken(loss, given.pred + 3, given), taken(loss, given.pred, given), rtol=1e-4)
