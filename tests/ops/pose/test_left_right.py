from __future__ import annotations

from densepred.ops.pose.left_right import mirror_order


def test_partners_swap_and_others_stay() -> None:
    names = ["nose", "left eye", "right eye", "left ear", "tail", "right ear"]
    order = mirror_order([(1, 2), (5, 3)], len(names))
    assert [names[index] for index in order] == ["nose", "right eye", "left eye", "right ear", "tail", "left ear"]
    assert [order[index] for index in order] == list(range(len(names)))


def test_nothing_swaps_without_pairs() -> None:
    assert mirror_order((), 3) == (0, 1, 2)
