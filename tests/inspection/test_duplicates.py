from __future__ import annotations

from densepred.inspection.duplicates import NEAR, pairs


def test_pairs_are_those_of_few_different_bits_nearest_first() -> None:
    one = [0, 2**64 - 1] + [0xFFFF << 20] * 300
    other = [2**NEAR - 1, 2 ** (NEAR + 1) - 1, 2**64 - 1]
    assert pairs(one, other) == [(0, 1, 2), (NEAR, 0, 0)]
