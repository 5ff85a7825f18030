from __future__ import annotations

import shlex
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from densepred.inspection.duplicates import NEAR, ROWS, findings, nearest
from densepred.inspection.facts import Facts


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


@pytest.mark.parametrize(
    ("names", "node", "override"),
    [
        (("a_1", "a_2"), {"splits": {"train": 0.5, "valid": 0.5}, "group": None}, {"dataset.group": "(.+)_"}),
        (("a_1", "img2"), {"splits": {"train": 0.5, "valid": 0.5}, "group": None}, {}),
        (("a_1", "a_2"), {"splits": {"train": 0.5, "valid": 0.5}, "group": "(.)_"}, {}),
        (("a_1", "a_2"), {"splits": {"train": "train", "valid": "val"}, "group": None}, {}),
        (("a_1", "a_2"), {"splits": {"train": 0.5, "valid": 0.5}}, {}),
    ],
)
def test_the_override_by_scenes_fits_names_and_settings_and_can_be_typed(
    names: tuple[str, str], node: dict[str, Any], override: dict[str, str]
) -> None:
    splits = {split: [Facts(name, hash=7)] for split, name in zip(("train", "valid"), names, strict=True)}
    (found,) = findings(splits, node)
    words = OverridesParser.create().parse_overrides(shlex.split(found.override))
    assert {word.key_or_group: word.value() for word in words} == override


def test_each_image_that_looks_like_one_of_another_split_has_its_nearest_partner() -> None:
    splits = {"train": [Facts("a", hash=0), Facts("b", hash=2**60 - 1)], "valid": [Facts("c", hash=1)]}
    splits["valid"].append(Facts("d", hash=2**60 - 2))
    (found,) = findings(splits)
    assert dict(zip(found.samples, found.partners, strict=True)) == {"c": ("train", "a"), "d": ("train", "b")}
    assert found.to_json()["partners"] == (("train", "a"), ("train", "b"))
