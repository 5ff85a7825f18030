"""Weights that fit are copied, classes are matched by name, and the rest is listed."""

from __future__ import annotations

import torch
from torch import nn

from densepred.weights.coverage import copy_matching


class Net(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3)
        self.heads = nn.ModuleDict({"semantic": nn.Conv2d(4, classes, 1)})


def test_rows_of_the_head_follow_the_names_of_the_classes() -> None:
    old, new = Net(3), Net(4)
    fresh = new.heads["semantic"].weight.clone()
    coverage = copy_matching(new, old.state_dict(), ("sky", "road", "car"), ("car", "tree", "road", "sky"))
    before, after = old.heads["semantic"].weight, new.heads["semantic"].weight
    assert torch.equal(after[0], before[2])
    assert torch.equal(after[1], fresh[1])
    assert torch.equal(after[2], before[1])
    assert torch.equal(after[3], before[0])
    assert len(coverage.by_class) == 2
    assert "3 of 4 classes" in coverage.text("x")
    assert torch.equal(new.body.weight, old.body.weight)


def test_equal_counts_with_another_order_are_reordered_too() -> None:
    old, new = Net(2), Net(2)
    copy_matching(new, old.state_dict(), ("a", "b"), ("b", "a"))
    assert torch.equal(new.heads["semantic"].weight, old.heads["semantic"].weight.flip(0))


def test_what_does_not_fit_is_listed() -> None:
    state = Net(2).state_dict()
    state["body.weight"] = torch.zeros(5, 3, 3, 3)
    state["extra"] = state.pop("body.bias")
    coverage = copy_matching(Net(2), state, ("a", "b"), ("a", "b"))
    assert coverage.missing == ["body.bias"]
    assert coverage.unexpected == ["extra"]
    assert coverage.conflicts == ["body.weight (5, 3, 3, 3) -> (4, 3, 3, 3)"]
