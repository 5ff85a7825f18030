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
        "docs/site/*.py",
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


def test_sentences_have_at_most_25_words() -> None:
    found = [f"{path.relative_to(REPOSITORY)}:{finding}" for path in FILES for finding in prose.long_sentences(path)]
    assert not found, "\n" + "\n".join(found)


def test_a_fragment_and_a_word_to_avoid_are_found(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text('def f():\n    """What it says."""\n    # one value a channel\n')
    assert len(list(prose.findings(path))) == 3
    path.write_text('def f():\n    """Return one value per channel; `whose` is code."""\n')
    assert not list(prose.findings(path))


def test_a_sentence_of_more_than_25_words_is_found(tmp_path: Path) -> None:
    """Ends are . ? ! : ; and blank lines; code counts as one word, and tables do not count."""
    path = tmp_path / "x.md"
    path.write_text("# Title\n\n" + "word " * 25 + "end.\n")
    assert [finding.partition(" words")[0] for finding in prose.long_sentences(path)] == ["3: 26"]
    path.write_text("word " * 20 + "end; " + "word\n" * 20 + "`a b c d e f g h`.\n\n| " + "word " * 30 + "|\n")
    assert not list(prose.long_sentences(path))
    path.write_text(f'"""{"word " * 26}"""\n' + "# word word word word word word word word word\n" * 3)
    assert [finding.partition(" words")[0] for finding in prose.long_sentences(path.rename(tmp_path / "x.py"))] == [
        "1: 26",
        "2: 27",
    ]
