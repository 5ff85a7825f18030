"""Batches of norms are counted as torch counts them, by one operation."""

from __future__ import annotations

import copy

import torch
from torch import nn

from densepred.engine import foreach
from densepred.nn import BatchNorm2d

INPUTS = (torch.randn(2, 3, 4, 4), torch.randn(3, 3, 2, 2), torch.randn(2, 3, 1, 1))


def trained(network: nn.Module) -> nn.Module:
    for x in INPUTS:
        network(x)
    network.eval()
    network(INPUTS[0])
    return network.train()


def networks() -> tuple[nn.Module, nn.Module]:
    """Return two norms of ours and two of torch; the second of each goes over its input twice."""
    made = []
    for norm in (BatchNorm2d, nn.BatchNorm2d):
        twice = norm(3)
        made.append(nn.Sequential(norm(3), twice, twice))
    return made[0], made[1]


def test_counts_and_statistics_are_torchs() -> None:
    ours, theirs = map(trained, networks())
    before = ours[0].num_batches_tracked
    foreach.count_batches(ours)
    assert ours[0].num_batches_tracked is before  # buffers that were copied are the ones that count
    assert ours[0].num_batches_tracked == 3
    foreach.count_batches(ours)
    expected = theirs.state_dict()
    for name, value in ours.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_a_state_dict_and_a_copy_have_counts_that_were_not_added_yet() -> None:
    ours, _ = networks()
    trained(ours)
    other = copy.deepcopy(ours)
    assert ours.state_dict()["1.num_batches_tracked"] == 6
    assert other.state_dict()["1.num_batches_tracked"] == 6
    assert ours.state_dict()["1.num_batches_tracked"] == 6


def test_one_value_per_channel_is_not_counted() -> None:
    norm = BatchNorm2d(3)
    norm(torch.randn(1, 3, 1, 1))
    assert norm.state_dict()["num_batches_tracked"] == 0
