"""Every loss of configs/loss is a finite mean over what counts, and the same in bands as in one piece."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import yaml
from torch import Tensor

from densepred.build import build
from densepred.contracts import Loss, SummedLoss
from densepred.ops import banded, resample
from densepred.types import VOID

FOLDER = Path(__file__).parents[2] / "configs" / "loss"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
CLASSES = 3

# Arguments that lead through other lines than the defaults do.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "ce": [{"class_weights": [1.0, 0.5, 2.0]}, {"label_smoothing": 0.1, "class_weights": [1.0, 0.5, 2.0]}],
    "focal": [{"gamma": 0.5, "alpha": 0.25}, {"alpha": [1.0, 2.0, 3.0]}],
    "dice": [{"per_image": True, "absent": True, "smooth": 0.0}, {"background": False}],
    "ce_dice": [{"label_smoothing": 0.1, "per_image": True}, {"class_weights": [1.0, 0.5, 2.0], "dice": 0.3}],
    "l1": [{"beta": 0.5}],
}
CASES = [(name, change) for name in NAMES for change in ({}, *VARIANTS.get(name, []))]
every_loss = pytest.mark.parametrize(("name", "change"), CASES, ids=[f"{name}{change or ''}" for name, change in CASES])


class Scene(NamedTuple):
    pred: Tensor
    target: Tensor
    weight: Tensor | None


def make(name: str, change: dict[str, Any]) -> Loss:
    loss = build({**yaml.safe_load((FOLDER / f"{name}.yaml").read_text()), **change})
    assert isinstance(loss, Loss)
    return loss


def scene(
    loss: Loss,
    coarse: tuple[int, int],
    size: tuple[int, int] = (37, 45),
    images: int = 2,
    weighted: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Scene:
    draw = torch.Generator().manual_seed(3)
    pred = (3 * torch.randn(images, CLASSES, *coarse, generator=draw)).to(dtype).requires_grad_()
    if loss.target == "classes":
        target = torch.randint(0, CLASSES, (images, *size), generator=draw, dtype=torch.uint8)
        target[0, 3:6] = VOID
    else:
        target = torch.randn(images, CLASSES, *size, generator=draw)
    weight = torch.rand(images, *size, generator=draw) if weighted else None
    return Scene(pred, target, weight)


def summed(name: str, change: dict[str, Any]) -> SummedLoss:
    loss = make(name, change)
    if not isinstance(loss, SummedLoss):
        pytest.skip(f"{name} is not a formula of sums")
    return loss


def both(loss: SummedLoss, scene: Scene, align_corners: bool) -> list[tuple[Tensor, Tensor]]:
    """Loss and gradient in one piece and in bands."""
    size = (scene.target.shape[-2], scene.target.shape[-1])
    plain = loss.statistics(resample.resize(scene.pred, size, align_corners), scene.target, scene.weight)
    bands = banded.sums(loss, scene.pred, scene.target, scene.weight, align_corners)
    assert bands.shape == plain.shape
    assert bands.dtype == plain.dtype
    values = [loss.value(sums) for sums in (plain, bands)]
    return [(value, torch.autograd.grad(1.7 * value, scene.pred)[0]) for value in values]


@every_loss
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(
    ("coarse", "size"),
    [((10, 12), (37, 45)), ((37, 45), (37, 45)), ((5, 6), (40, 48)), ((3, 16), (48, 64)), ((1, 1), (5, 4))],
)
@pytest.mark.parametrize("chunk", [700, 2**20])
def test_bands_give_what_one_piece_gives(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    change: dict[str, Any],
    weighted: bool,
    align_corners: bool,
    coarse: tuple[int, int],
    size: tuple[int, int],
    chunk: int,
) -> None:
    monkeypatch.setattr(resample, "CHUNK", chunk)
    loss = summed(name, change)
    (plain, wanted), (bands, found) = both(loss, scene(loss, coarse, size, weighted=weighted), align_corners)
    torch.testing.assert_close(bands, plain, rtol=1e-6, atol=1e-7)
    assert (found - wanted).abs().max() <= 5e-6 * wanted.abs().max()


@every_loss
def test_gradients_of_bands_pass_a_check_by_differences(
    monkeypatch: pytest.MonkeyPatch, name: str, change: dict[str, Any]
) -> None:
    monkeypatch.setattr(resample, "CHUNK", 60)
    loss = summed(name, change).double()
    pred, target, weight = scene(loss, (3, 2), (12, 9), images=2, weighted=True, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: banded.sums(loss, x, target, weight), (pred,))


@every_loss
def test_nothing_that_counts_is_exactly_zero(name: str, change: dict[str, Any]) -> None:
    loss = make(name, change)
    pred, target, _ = scene(loss, (37, 45))
    nowhere = torch.zeros(2, 37, 45)
    void = torch.full_like(target, VOID) if loss.target == "classes" else target
    for value in (loss(pred, void, nowhere), loss(pred, void) if void is not target else loss(pred, target, nowhere)):
        assert value.item() == 0
        gradient = torch.autograd.grad(value, pred)[0]
        assert (gradient == 0).all()
    if isinstance(loss, SummedLoss):
        sums = banded.sums(loss, pred, target, nowhere)
        assert loss.value(sums).item() == 0
        assert (torch.autograd.grad(loss.value(sums), pred)[0] == 0).all()
        assert (loss.statistics(pred, void, nowhere) == 0).all()


@every_loss
def test_rows_of_zeros_change_nothing(name: str, change: dict[str, Any]) -> None:
    loss = summed(name, change)
    sums = loss.statistics(*scene(loss, (37, 45), weighted=True))
    padded = torch.cat([sums, torch.zeros(3, sums.shape[1])])
    assert loss.value(padded).item() == pytest.approx(loss.value(sums).item(), rel=1e-6)


@every_loss
def test_images_give_the_sums_that_they_give_alone(name: str, change: dict[str, Any]) -> None:
    loss = summed(name, change)
    pred, target, weight = scene(loss, (10, 12), weighted=True)
    assert weight is not None
    alone = [banded.sums(loss, pred[i : i + 1], target[i : i + 1], weight[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(banded.sums(loss, pred, target, weight), torch.cat(alone))


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sums_are_float32_under_autocast(name: str, change: dict[str, Any], dtype: torch.dtype) -> None:
    loss = summed(name, change)
    given = scene(loss, (10, 12), dtype=dtype)
    with torch.autocast("cpu", dtype):
        (plain, wanted), (bands, found) = both(loss, given, align_corners=False)
    assert plain.dtype == torch.float32
    torch.testing.assert_close(bands, plain, rtol=1e-6, atol=1e-7)
    assert found.dtype == dtype
    # One rounding to half precision of numbers that differ by their last bit of float32.
    torch.testing.assert_close(found, wanted, rtol=torch.finfo(dtype).eps, atol=1e-6)


@every_loss
def test_the_best_prediction_is_the_known_optimum(name: str, change: dict[str, Any]) -> None:
    loss = make(name, change)
    _, target, _ = scene(loss, (37, 45))
    if loss.target == "values":
        assert loss(target.clone(), target).item() == 0
        return
    if change.get("label_smoothing"):
        pytest.skip("smoothing has its optimum elsewhere")
    known = torch.where(target == VOID, 0, target).long()
    certain = 100 * torch.nn.functional.one_hot(known, CLASSES).permute(0, 3, 1, 2).float()
    assert loss(certain, target).item() == pytest.approx(0, abs=1e-6)


@every_loss
def test_one_channel_is_the_binary_problem(name: str, change: dict[str, Any]) -> None:
    loss = make(name, {})
    if loss.target == "values" or not isinstance(loss, SummedLoss):
        pytest.skip("not a softmax")
    x = torch.randn(2, 1, 9, 7, requires_grad=True)
    target = torch.randint(0, 2, (2, 36, 28), dtype=torch.uint8)
    one, two = (banded.sums(loss, logits, target) for logits in (x, torch.cat([torch.zeros_like(x), x], 1)))
    torch.testing.assert_close(one, two)
    gradients = [torch.autograd.grad(loss.value(sums), x)[0] for sums in (one, two)]
    torch.testing.assert_close(*gradients)
