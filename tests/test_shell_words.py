"""Overrides in messages stand in quotes where a shell would read their brackets."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from densepred.errors import in_shell
from tests.conftest import REPOSITORY

PLAIN = re.compile(r"[a-z_]+(?:\.[a-z_]+)*=[\[{][\w\[{]")


def texts(path: Path) -> Iterator[str]:
    """Yield the strings of a file, with X for values in f-strings; documentation is left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kept = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (kept | inner):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)


def test_overrides_in_messages_are_quoted() -> None:
    bare = []
    for path in sorted((REPOSITORY / "densepred").rglob("*.py")):
        for text in texts(path):
            outside = re.sub(r"(?<!\w)'[^']*'|\"[^\"]*\"", "", text)
            bare += [f"{path}: {text}" for _ in PLAIN.findall(outside) if not PLAIN.match(text)]
    assert not bare


@pytest.mark.parametrize(
    ("word", "typed"),
    [
        ("optimizer.lr=0.01", "optimizer.lr=0.01"),
        ("data.crop=[256,256]", "'data.crop=[256,256]'"),
        ("dataset.splits={train: 0.8}", "'dataset.splits={train: 0.8}'"),
        ("dataset.root=my images", "'dataset.root=my images'"),
    ],
)
def test_in_shell_quotes_what_a_shell_would_read(word: str, typed: str) -> None:
    assert in_shell(word) == typed
