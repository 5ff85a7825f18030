"""Run-length masks of a COCO file."""

from __future__ import annotations

from densepred.dataset import runs


def test_areas_of_more_masks_than_a_byte_counts() -> None:
    one = runs.encode({"size": [3, 4], "counts": [2, 5, 5]}, (3, 4), "here")
    assert runs.area([one] * 300).tolist() == [5.0] * 300
    assert runs.area([]).shape == (0,)
