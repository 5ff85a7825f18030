from __future__ import annotations

from densepred.inspection.duplicates import NEAR, ROWS, nearest, pairs


def test_pairs_are_those_of_few_different_bits_nearest_first() -> None:
    one = [0, 2**64 - 1] + [0xFFFF << 20] * 300
    other = [2**NEAR - 1, 2 ** (NEAR + 1) - 1, 2**64 - 1]
    assert pairs(one, other) == [(0, 1, 2), (NEAR, 0, 0)]


def test_every_hash_with_a_near_one_is_found_and_a_video_gives_few_pairs() -> None:
    # The first and the second are both near the third alone; the last is near none
    assert nearest([0, 2 ** (2 * NEAR) - 1, 2**NEAR - 1, 2**63 - 1]) == [(NEAR, 0, 2), (NEAR, 1, 2)]
    count = 2 * ROWS + 3
    assert nearest([7] * count) == [(0, 0, index) for index in range(1, count)]
    assert nearest([]) == nearest([7]) == []
