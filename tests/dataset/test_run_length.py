"""Run-length masks of a COCO file."""

from __future__ import annotations

from densepred.dataset import run_length


def test_areas_of_more_masks_than_a_byte_counts() -> None:
    one = run_length.encode({"size": [3, 4], "counts": [2, 5, 5]}, (3, 4), "here")
    assert run_length.area([one] * 300).tolist() == [5.0] * 300
    assert run_length.area([]).shape == (0,)
