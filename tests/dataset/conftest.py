from __future__ import annotations

from pathlib import Path

import pytest

from tests.dataset.files import mask, picture, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two images of three classes in each of train and val, one of them in a folder of its own."""
    for split in ("train", "val"):
        for name in ("a", "b/c"):
            write(tmp_path / f"images/{split}/{name}.png", picture())
            write(tmp_path / f"masks/{split}/{name}.png", mask())
    return tmp_path
