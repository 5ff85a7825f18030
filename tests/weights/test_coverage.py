"""Weights from elsewhere: what fits is taken, classes are matched by name, and what is left is listed."""

from __future__ import annotations

import torch
from torch import nn

from densepred.weights.coverage import transfer


class Net(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3)
        self.heads = nn.ModuleDict({"semantic": nn.Conv2d(4, classes, 1)})


def test_rows_of_the_head_follow_the_names_of_the_classes() -> None:
    old, new = Net(3), Net(4)
    fresh = new.heads["semantic"].weight.clone()
    coverage = transfer(new, old.state_dict(), ("sky", "road", "car"), ("car", "tree", "road", "sky"))
    then, now = old.heads["semantic"].weight, new.heads["semantic"].weight
    assert torch.equal(now[0], then[2])
    assert torch.equal(now[1], fresh[1])
    assert torch.equal(now[2], then[1])
    assert torch.equal(now[3], then[0])
    assert len(coverage.by_class) == 2
    assert "3 of 4 classes" in coverage.text("x")
    assert torch.equal(new.body.weight, old.body.weight)


def test_equal_counts_with_another_order_are_reordered_too() -> None:
    old, new = Net(2), Net(2)
    transfer(new, old.state_dict(), ("a", "b"), ("b", "a"))
    assert torch.equal(new.heads["semantic"].weight, old.heads["semantic"].weight.flip(0))


def test_what_does_not_fit_is_listed() -> None:
    state = Net(2).state_dict()
    state["body.weight"] = torch.zeros(5, 3, 3, 3)
    state["extra"] = state.pop("body.bias")
    coverage = transfer(Net(2), state, ("a", "b"), ("a", "b"))
    assert coverage.missing == ["body.bias"]
    assert coverage.unexpected == ["extra"]
    assert coverage.conflicts == ["body.weight (5, 3, 3, 3) -> (4, 3, 3, 3)"]
