from __future__ import annotations

import pytest
import torch
from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.loss.ce import CrossEntropy
from densepred.loss.dice import Dice
from densepred.ops.loss import banded
from densepred.ops.resize import resample


class Quartic(SummedLoss):
    """No closed form, and both sums depend on the prediction."""

    target = "classes"

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        mask = (target != 255).to(pred.dtype) * (1 if weight is None else weight)
        return torch.stack([(pred**4 * mask[:, None]).sum((1, 2, 3)), (pred.sin() * mask[:, None]).sum((1, 2, 3))], 1)

    def value(self, sums: Tensor) -> Tensor:
        return sums[:, 0].sum() / (1 + sums[:, 1].sum() ** 2)


def gradients(loss: SummedLoss, x: Tensor, target: Tensor, align_corners: bool = False) -> tuple[Tensor, Tensor]:
    """In one piece and in bands."""
    plain = loss.statistics(resample.resize(x, (target.shape[1], target.shape[2]), align_corners), target)
    bands = banded.sums(loss, x, target, None, align_corners)
    torch.testing.assert_close(bands, plain)
    wanted, found = (torch.autograd.grad(loss.value(sums), x)[0] for sums in (plain, bands))
    return wanted, found


@pytest.mark.parametrize("align_corners", [False, True])
def test_a_loss_without_a_closed_form_goes_through_autograd(
    monkeypatch: pytest.MonkeyPatch, align_corners: bool
) -> None:
    monkeypatch.setattr(resample, "CHUNK", 500)
    x = torch.randn(3, 2, 10, 12, dtype=torch.float64, requires_grad=True)
    wanted, found = gradients(Quartic(), x, torch.randint(0, 2, (3, 37, 45), dtype=torch.uint8), align_corners)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("loss", [CrossEntropy(), CrossEntropy(label_smoothing=0.1), Dice()])
@pytest.mark.parametrize("scale", [30.0, 3e3])
def test_huge_logits_are_as_exact_as_in_one_piece(loss: SummedLoss, scale: float) -> None:
    draw = torch.Generator().manual_seed(0)
    x = (scale * torch.randn(2, 4, 5, 6, generator=draw)).requires_grad_()
    target = torch.randint(0, 4, (2, 40, 48), generator=draw, dtype=torch.uint8)
    wanted, found = gradients(loss, x, target)
    assert found.isfinite().all()
    # float32 itself holds such logits to 1e-7 of their size only.
    assert (found - wanted).abs().max() <= 1e-6 * scale * wanted.abs().max()


def test_two_backward_passes_of_one_graph_agree() -> None:
    x = torch.randn(2, 3, 5, 6, requires_grad=True)
    value = CrossEntropy().value(banded.sums(CrossEntropy(), x, torch.ones(2, 20, 24, dtype=torch.uint8)))
    first = torch.autograd.grad(value, x, retain_graph=True)[0].clone()
    torch.testing.assert_close(torch.autograd.grad(2 * value, x)[0], 2 * first)


def test_no_gradient_is_computed_unless_required() -> None:
    sums = banded.sums(CrossEntropy(), torch.randn(1, 3, 5, 6), torch.zeros(1, 20, 24, dtype=torch.uint8))
    assert not sums.requires_grad


def test_logits_are_left_as_they_were() -> None:
    for size in ((5, 6), (20, 24)):
        x = torch.randn(2, 3, 5, 6, requires_grad=True)
        before = x.detach().clone()
        CrossEntropy().value(banded.sums(CrossEntropy(), x, torch.ones(2, *size, dtype=torch.uint8))).backward()
        assert torch.equal(x, before)


def test_any_layout_of_logits_and_a_broadcast_weight_will_do() -> None:
    x = torch.randn(2, 3, 5, 6).contiguous(memory_format=torch.channels_last)
    target = torch.randint(0, 3, (2, 20, 24), dtype=torch.uint8)
    weight = torch.rand(2, 1, 1)
    found = banded.sums(CrossEntropy(), x, target, weight)
    wanted = CrossEntropy().statistics(resample.resize(x, (20, 24)), target, weight)
    torch.testing.assert_close(found, wanted)


def test_the_same_batch_gives_the_same_bits() -> None:
    x, target = torch.randn(2, 3, 16, 16, requires_grad=True), torch.randint(0, 3, (2, 64, 64), dtype=torch.uint8)
    runs = [torch.autograd.grad(Dice().value(banded.sums(Dice(), x, target)), x)[0] for _ in range(2)]
    assert torch.equal(*runs)


def test_counts_go_on_beyond_what_adding_ones_in_float32_can_reach() -> None:
    target = torch.zeros(1, 1, 1, dtype=torch.uint8).expand(1, 4200, 4000)  # 2^24 is 16.78 million
    sums = banded.sums(CrossEntropy(), torch.zeros(1, 2, 42, 40), target)
    assert sums[0, 1].item() == 4200 * 4000
    assert sums[0, 0].item() == pytest.approx(4200 * 4000 * 0.6931472, rel=1e-6)
    overlap = banded.sums(Dice(), torch.zeros(1, 2, 42, 40), target)
    assert overlap[0].tolist() == [8.4e6, 0, 8.4e6, 8.4e6, 16.8e6, 0]


def test_plain_and_banded_agree_and_the_size_of_the_card_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 5, (2, 37, 45), generator=generator, dtype=torch.uint8)
    target[0, :9] = 255
    found = []
    for available in (0, 2**30):
        monkeypatch.setattr(banded, "memory", lambda device, size=available: size)
        logits = torch.randn(2, 5, 10, 12, generator=torch.Generator().manual_seed(1)).requires_grad_()
        value = Dice().value(banded.sums(Dice(), logits, target))
        value.backward()
        found.append((value.detach(), logits.grad))
    (value, grad), (other, other_grad) = found
    assert value.item() == pytest.approx(other.item(), rel=1e-6)
    assert grad is not None
    assert other_grad is not None
    assert (grad - other_grad).abs().max() <= 1e-6 * grad.abs().max()
    assert not torch.equal(grad, other_grad)  # two ways, with roundings of their own


def test_a_small_part_of_the_memory_is_for_enlarged_logits() -> None:
    card = 80 * 2**30
    assert banded.fits(16 * 19 * 1024 * 1024, card)
    assert not banded.fits(16 * 150 * 1024 * 1024, card)
    assert not banded.fits(1, banded.memory(torch.device("cpu")))
