from __future__ import annotations

from collections import Counter

import pytest
import torch

from densepred.errors import UserError
from densepred.ops.loss import labels
from densepred.types import VOID
from tests.ops.loss.scenes import scene


@pytest.mark.parametrize(
    ("given", "wanted"),
    [(torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float64, torch.float64)],
)
def test_half_precision_becomes_float32_and_float64_stays(given: torch.dtype, wanted: torch.dtype) -> None:
    assert labels.at_least_float32(torch.zeros(2, dtype=given)).dtype == wanted


@pytest.mark.parametrize("weighted", [False, True])
def test_void_has_label_and_weight_zero_and_the_class_map_stays(weighted: bool) -> None:
    _, target, weight = scene(3)
    before = target.clone()
    found, weights = labels.counting(target, weight if weighted else None, torch.float32)
    assert found.dtype == torch.int64
    for place in torch.cartesian_prod(*(torch.arange(n) for n in target.shape)).tolist():
        i, y, x = place
        known = int(target[i, y, x]) != VOID
        assert found[i, y, x] == (int(target[i, y, x]) if known else 0)
        assert weights[i, y, x] == pytest.approx((float(weight[i, y, x]) if weighted else 1.0) * known)
    assert torch.equal(target, before)


@pytest.mark.parametrize("classes", [1, 2, 19])
def test_sums_by_label_are_those_of_a_dictionary_per_image(classes: int) -> None:
    values, map_ = torch.randn(3, 4, 9), torch.randint(0, classes, (3, 4, 9))
    map_[1] = 0
    found = labels.sum_by_label(values, map_, classes)
    for i in range(3):
        wanted: Counter[int] = Counter()
        for value, label in zip(values[i].flatten().tolist(), map_[i].flatten().tolist(), strict=True):
            wanted[label] += value
        assert found[i].tolist() == pytest.approx([wanted[k] for k in range(classes)], abs=1e-5)
    assert torch.equal(labels.one_hot(map_, classes).sum(1), torch.ones_like(map_))
    assert torch.equal(labels.one_hot(map_, classes).long().argmax(1), map_)


def test_a_ratio_by_nothing_is_the_numerator_with_a_finite_gradient() -> None:
    part, whole = torch.tensor([0.0, 3.0, 2.0], requires_grad=True), torch.tensor([0.0, 0.0, 4.0], requires_grad=True)
    found = labels.ratio(part, whole)
    assert found.tolist() == [0, 3, 0.5]
    by_part, by_whole = torch.autograd.grad(found.sum(), (part, whole))
    assert by_part.tolist() == [1, 1, 0.25]
    assert by_whole.tolist() == [0, 0, -0.125]


@pytest.mark.parametrize("shape", [(2, 5, 4), (2, 1, 5, 4), (2, 3, 1, 1), (2, 3, 5, 4)])
def test_weights_take_the_shape_of_the_target_without_a_copy(shape: tuple[int, ...]) -> None:
    weight = torch.rand(shape)
    found = labels.aligned(weight, torch.zeros(2, 3, 5, 4))
    full = weight[:, None] if len(shape) == 3 else weight
    assert torch.equal(found, full * torch.ones(2, 3, 5, 4))
    assert found.data_ptr() == weight.data_ptr()
    assert labels.aligned(weight[:, 0], torch.zeros(*weight[:, 0].shape)).shape == weight[:, 0].shape


def test_numbers_per_class_scale_weights_by_label() -> None:
    map_, weight = torch.tensor([[[0, 2], [1, 2]]]), torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    assert labels.scaled(weight, None, map_) is weight
    assert labels.scaled(weight, torch.tensor([5.0, 7.0, 0.5]), map_).tolist() == [[[5, 1], [21, 2]]]
    values = labels.class_values([1, 0, 2.5], "loss.k")
    assert values is not None
    assert labels.per_class(values, torch.zeros(1, 3, 1, 1, dtype=torch.float64), "loss.k") is not None
    assert labels.class_values(None, "loss.k") is labels.per_class(None, torch.zeros(1, 3, 1, 1), "loss.k") is None


@pytest.mark.parametrize("values", ["median_frequency", [1.0, -1.0], [0.0, 0.0], [1.0, float("inf")], [float("nan")]])
def test_numbers_per_class_that_make_no_weights_are_refused_by_key(values: list[float]) -> None:
    with pytest.raises(UserError, match=r"^loss\.k: .*; give one"):
        labels.class_values(values, "loss.k")


def test_another_number_of_classes_is_refused_by_key() -> None:
    with pytest.raises(UserError, match=r"loss\.k has values: 2, classes: 3"):
        labels.per_class(torch.ones(2), torch.zeros(1, 3, 1, 1), "loss.k")


def test_class_maps_of_int64_are_left_as_they_are() -> None:
    target = torch.tensor([[[0, 255, 1]]])
    labels_of, weight = labels.counting(target, None, torch.float32)
    assert target.tolist() == [[[0, 255, 1]]]
    assert labels_of.tolist() == [[[0, 0, 1]]]
    assert weight.tolist() == [[[1, 0, 1]]]
