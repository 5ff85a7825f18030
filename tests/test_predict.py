"""densepred-predict: which images it takes and where their results go."""

from __future__ import annotations

from pathlib import Path

import pytest

from densepred import predict


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.jpg", "b.png"], ["a", "b"]),
        (["a.jpg", "a.png"], ["a.jpg", "a.png"]),
        (["a.jpg", "a.jpg.tif"], ["a", "a.jpg"]),
        (["a.jpg", "a.png", "a.jpg.tif"], ["a.jpg", "a.png", "a.jpg.tif"]),
        (["a.jpg", "a.png", "a.jpg.tif", "a.jpg.tif.png"], ["a.jpg", "a.png", "a.jpg.tif", "a.jpg.tif.png"]),
        (["A.jpg", "a.png", "s/a.png"], ["A.jpg", "a.png", "s/a"]),
        (["e\u0301.jpg", "\u00e9.png"], ["e\u0301.jpg", "\u00e9.png"]),
    ],
)
def test_no_two_images_share_the_path_of_their_results(tmp_path: Path, names: list[str], expected: list[str]) -> None:
    found = predict.destinations([tmp_path / name for name in names], tmp_path, tmp_path / "out")
    assert [place.as_posix() for place in found] == expected
