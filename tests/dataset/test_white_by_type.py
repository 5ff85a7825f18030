"""White of images above 8 bits where training has not measured it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from densepred.dataset.image_header import describe_files
from densepred.types import Info
from tests.dataset.files import write


@pytest.mark.parametrize(("kind", "white"), [("<u2", "65535"), ("<i4", "65535, or 255 in wider integers that do not")])
def test_the_line_tells_what_is_white_where_training_had_bytes(tmp_path: Path, kind: str, white: str) -> None:
    write(tmp_path / "a.tif", np.full((7, 9), 4000, kind))
    line = describe_files([tmp_path / "a.tif"], Info(channels=1, mean=(0.5,), std=(0.2,)), 10_000)
    assert f"white is {white}" in line
    assert "as training images have 8 bits: those of 10 to 14 bits look dark" in line
