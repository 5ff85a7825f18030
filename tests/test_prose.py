"""Code and documents keep the rules of prose in `tests/prose.py`; `python -m tests.prose FOLDER` lists the breaches."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import prose
from tests.conftest import REPOSITORY

FILES = sorted(
    path
    for pattern in (
        "*.md",
        "docs/*.md",
        "configs/**/*.yaml",
        "densepred/**/*.py",
        "hydra_plugins/*.py",
        "scripts/*.py",
        "tests/**/*.py",
    )
    for path in REPOSITORY.glob(pattern)
)


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in FILES}), ids=lambda p: str(p.relative_to(REPOSITORY))
)
def test_prose_keeps_the_rules(folder: Path) -> None:
    found = [
        f"{path.relative_to(REPOSITORY)}:{finding}"
        for path in FILES
        if path.parent == folder
        for finding in prose.findings(path)
    ]
    assert not found, "\n" + "\n".join(found)


def test_a_fragment_and_a_word_to_avoid_are_found(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text('def f():\n    """What it says."""\n    # one value a channel\n')
    assert len(list(prose.findings(path))) == 3
    path.write_text('def f():\n    """Return one value per channel; `whose` is code."""\n')
    assert not list(prose.findings(path))
