"""Annotations: every field is known to `select` and `need`, a field of tomorrow too."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import pytest
import torch

from densepred.types import ROWS, Annotation, Info, TensorField, UserError

IDS = torch.tensor([[0, 1, 1], [2, 2, 3]], dtype=torch.int32)
FULL: dict[str, Any] = {
    "semantic": torch.tensor([[0, 1, 1], [1, 1, 2]], dtype=torch.uint8),
    "instances": IDS,
    "categories": torch.tensor([1, 1, 2]),
    "scores": torch.tensor([0.9, 0.3, 0.6]),
    "keypoints": torch.arange(18.0).view(3, 2, 3),
    "boxes": torch.arange(12.0).view(3, 4),
    "areas": torch.tensor([2.0, 2.0, 1.0]),
    "head_boxes": torch.arange(12.0, 24.0).view(3, 4),
    "crowd": torch.tensor([False, True, False]),
    "masks": [{"counts": "a"}, {"counts": "b"}, {"counts": "c"}],
    "ignore": torch.zeros(2, 3, dtype=torch.bool),
    "probabilities": torch.rand(3, 2, 3),
    "image": torch.rand(1, 2, 3),
    "source": (7, "a"),
}
"""A value of every field: one that is added to Annotation is missing here, and the tests below fail."""
NAMES = [entry.name for entry in fields(Annotation) if entry.name != "size"]
ORDERS = {
    "mask": (torch.tensor([True, False, True]), [0, 2]),
    "indices": (torch.tensor([2, 0]), [2, 0]),
    "none": (torch.zeros(3, dtype=torch.bool), []),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("order", ORDERS)
def test_select_keeps_rows_and_leaves_maps(name: str, order: str) -> None:
    rows, kept = ORDERS[order]
    found = getattr(Annotation((2, 3), **FULL).select(rows), name)
    value = FULL[name]
    if name == "masks":
        assert found == [value[i] for i in kept]
    elif name == "instances":
        for i in range(3):
            expected = kept.index(i) + 1 if i in kept else 0
            assert (found[value == i + 1] == expected).all()
        assert (found[value == 0] == 0).all()
        assert found.dtype == value.dtype
    elif len(value) == 3 and name != "probabilities":
        assert torch.equal(found, value[kept])
    else:
        assert found is value


@pytest.mark.parametrize("name", NAMES)
def test_a_field_has_rows_if_its_first_dimension_is_the_instances(name: str) -> None:
    """N is 3, and no other field but the probabilities of three classes begins with it."""
    assert (name in ROWS) == (len(FULL[name]) == 3 and name != "probabilities")


def test_select_of_a_map_of_ids_alone_renumbers_it() -> None:
    found = Annotation((2, 3), instances=IDS).select(torch.tensor([False, True, True]))
    assert found.instances is not None
    assert found.instances.tolist() == [[0, 0, 0], [1, 1, 2]]


def test_need_knows_every_field_that_holds_a_tensor() -> None:
    assert set(get_args(TensorField)) == set(NAMES) - {"masks", "source"}


@pytest.mark.parametrize("name", get_args(TensorField))
def test_need_returns_the_field_or_names_it(name: TensorField) -> None:
    assert Annotation((2, 3), **FULL).need(name) is FULL[name]
    with pytest.raises(UserError, match=f"^{name}: .*list it in the codec's `required`"):
        Annotation((2, 3)).need(name)


@pytest.mark.parametrize("name", ROWS)
def test_the_count_of_instances_is_that_of_any_field_with_rows(name: str) -> None:
    assert Annotation((2, 3), **{name: FULL[name]}).count == 3


def test_the_count_of_instances_is_the_largest_id_where_no_field_has_rows() -> None:
    assert Annotation((2, 3), instances=IDS).count == 3
    assert Annotation((0, 3), instances=IDS[:0]).count == 0
    assert Annotation((2, 3)).count == 0


def test_instances_without_categories_are_of_the_first_class_of_things() -> None:
    info = Info(classes=("sky", "car", "man"), things=(2, 1))
    assert Annotation((2, 3), scores=FULL["scores"]).class_ids(info).tolist() == [2, 2, 2]
    assert Annotation((2, 3), categories=FULL["categories"]).class_ids(info) is FULL["categories"]
