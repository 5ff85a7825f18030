from __future__ import annotations

import torch

from densepred.hub.renaming import Merge, Split, rename

A, B = torch.arange(6.0).view(2, 3), torch.arange(10.0, 16.0).view(2, 3)


def test_parts_are_joined_along_rows_or_columns_or_added() -> None:
    state = {"a.x": A, "a.y": B}
    for how, want in (("rows", torch.cat([A, B])), ("columns", torch.cat([A, B], 1)), ("sum", A + B)):
        ours, extras = rename(state, (), (Merge((r"(.)\.x", r"(.)\.y"), r"both.\1", how),))
        assert extras == []
        assert ours.keys() == {"both.a"}
        assert torch.equal(ours["both.a"], want)


def test_a_merge_that_lacks_a_part_leaves_the_others() -> None:
    merges = (Merge(("x", "y", "z"), "three"), Merge(("u", "x"), "two"))
    assert rename({"x": A, "y": B}, (), merges)[0].keys() == {"x", "y"}


def test_rows_are_split_by_their_shares() -> None:
    splits = (Split(r"(\d)\.qkv", (r"\1.q", r"\1.kv"), (1, 2)),)
    ours, _ = rename({"0.qkv": torch.arange(6.0), "1.qkv": torch.arange(4.0)}, (), splits=splits)
    assert ours["0.q"].tolist() == [0, 1]
    assert ours["0.kv"].tolist() == [2, 3, 4, 5]
    assert "1.qkv" in ours


def test_blocks_of_input_channels_are_reordered_or_left_out() -> None:
    weight = torch.arange(6.0).view(1, 6, 1, 1)
    ours, _ = rename({"a": weight, "b": weight[:, :5]}, ((r"(.)", r"conv.\1"),), orders=((r"conv\..", (2, 0, 1)),))
    assert ours.keys() == {"conv.a"}
    assert ours["conv.a"].flatten().tolist() == [4, 5, 0, 1, 2, 3]


def test_changes_take_tensors_by_our_names() -> None:
    ours, _ = rename({"a": A, "b": B}, ((r"(.)", r"x.\1"),), changes=((r"x\.b", lambda rows: 2 * rows.flip(0)),))
    assert torch.equal(ours["x.a"], A)
    assert torch.equal(ours["x.b"], 2 * B.flip(0))
