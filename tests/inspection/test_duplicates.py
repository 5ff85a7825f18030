from __future__ import annotations

from densepred.inspection.duplicates import NEAR, ROWS, nearest


def test_pairs_are_those_of_few_different_bits_nearest_first() -> None:
    among = [0, 2**64 - 1] + [0xFFFF << 20] * 300
    of = [2**NEAR - 1, 2 ** (NEAR + 1) - 1, 2**64 - 1]
    assert nearest(of, among) == [(0, 2, 1), (NEAR, 0, 0)]
    assert nearest(among, of) == [(0, 1, 2), (NEAR, 0, 0)]
    assert nearest(of, []) == nearest([], of) == []


def test_one_pair_per_image_is_kept_between_splits() -> None:
    """Two splits of one video have as many pairs as the second has images, not the product."""
    count = ROWS + 3
    assert nearest([7] * count, [7] * 500) == [(0, index, 0) for index in range(count)]


def test_every_hash_with_a_near_one_is_found_and_a_video_gives_few_pairs() -> None:
    # The first and the second are both near the third alone; the last is near none
    hashes = [0, 2 ** (2 * NEAR) - 1, 2**NEAR - 1, 2**63 - 1]
    assert nearest(hashes, hashes) == [(NEAR, 0, 2), (NEAR, 1, 2)]
    video = [7] * (2 * ROWS + 3)
    assert nearest(video, video) == [(0, 0, index) for index in range(1, len(video))]
    alone = [7]
    assert nearest(alone, alone) == []
