"""Weights that fit are copied, channels of heads are matched by name, and the rest is listed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from densepred.contracts import Model
from densepred.nn import output_axes
from densepred.types import ChannelAxes
from densepred.weights.coverage import copy_matching


class Net(Model):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3)
        self.heads = nn.ModuleDict({"semantic": nn.Conv2d(4, classes, 1), "offset": nn.Conv2d(4, 2, 1)})

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        return {name: [head(self.body(image))] for name, head in self.heads.items()}

    def channel_axes(self) -> ChannelAxes:
        return output_axes(self.heads["semantic"], "heads.semantic", "semantic")


def names(*classes: str) -> dict[str, tuple[str, ...]]:
    return {"semantic": classes}


def test_rows_of_the_head_follow_the_names_of_the_classes() -> None:
    old, new = Net(3), Net(4)
    fresh = new.heads["semantic"].weight.clone()
    coverage = copy_matching(new, old.state_dict(), names("sky", "road", "car"), names("car", "tree", "road", "sky"))
    before, after = old.heads["semantic"].weight, new.heads["semantic"].weight
    assert torch.equal(after[0], before[2])
    assert torch.equal(after[1], fresh[1])
    assert torch.equal(after[2], before[1])
    assert torch.equal(after[3], before[0])
    assert len(coverage.by_name) == 2
    assert "6 of 6 tensors loaded" in coverage.text("x")
    assert "3 of 4 channels" in coverage.text("x")
    assert torch.equal(new.body.weight, old.body.weight)


def test_equal_counts_with_another_order_are_reordered_too() -> None:
    old, new = Net(2), Net(2)
    copy_matching(new, old.state_dict(), names("a", "b"), names("b", "a"))
    assert torch.equal(new.heads["semantic"].weight, old.heads["semantic"].weight.flip(0))
    assert torch.equal(new.heads["offset"].weight, old.heads["offset"].weight)  # as many rows, but no classes


def test_classes_of_other_names_keep_their_initialisation() -> None:
    old, new = Net(2), Net(2)
    fresh = new.heads["semantic"].weight.clone()
    coverage = copy_matching(new, old.state_dict(), names("a", "b"), names("c", "d"))
    assert torch.equal(new.heads["semantic"].weight, fresh)
    assert coverage.missing == ["heads.semantic.weight", "heads.semantic.bias"]


def test_what_does_not_fit_is_listed() -> None:
    state = Net(2).state_dict()
    state["body.weight"] = torch.zeros(5, 3, 3, 3)
    state["extra"] = state.pop("body.bias")
    coverage = copy_matching(Net(2), state, names("a", "b"), names("a", "b"))
    assert coverage.missing == ["body.bias"]
    assert coverage.unexpected == ["extra"]
    assert coverage.conflicts == ["body.weight (5, 3, 3, 3) -> (4, 3, 3, 3)"]
