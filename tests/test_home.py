"""Paths as they are typed and shown."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from densepred import home
from densepred.home import from_here


def test_a_path_below_the_current_folder_becomes_relative_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert from_here(tmp_path / "runs" / "a") == "runs/a"
    assert from_here(tmp_path.parent / "b") == str(tmp_path.parent / "b")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert from_here(tmp_path / "runs") == str(tmp_path / "runs")


PATHS = (
    *(
        "runs/a",
        "runs/a b",
        "runs/2018-11-01_10-00-00",
        "a=b",
        "a,b",
        "it's",
        'a "b"',
        "end\\",
        "a\\b",
        "[x]",
        "{y}",
        "$z",
        "ü",
    ),
    *("new\nline", "byte\udcff"),
)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_in_a_command_is_read_back_by_the_shell_and_hydra(path: str) -> None:
    shown = home.typed("ckpt", path)
    assert shown.isprintable()
    words = subprocess.run(["bash", "-c", f"printf '%s\\0' {shown}"], stdout=subprocess.PIPE, check=True).stdout
    (word,) = os.fsdecode(words).removesuffix("\0").split("\0")
    (read,) = OverridesParser.create().parse_overrides([word])
    assert str(read.value()) == path
    assert home.typed("ckpt", "runs/a") == "ckpt=runs/a"


@pytest.mark.parametrize("sign", ["'", '"'])
@pytest.mark.parametrize("path", PATHS)
def test_quotes_are_undone(path: str, sign: str) -> None:
    word = home.in_quotes(path, sign)
    assert OverridesParser.create().parse_override(f"ckpt={word}").value() == path
    assert home.unquoted(word) == path


@pytest.mark.parametrize("word", ["a\\,b", "a\\=b", "a b", "a\\\\b", "[a,'b\\'c']"])
def test_values_without_quotes_are_read_as_hydra_does(word: str) -> None:
    value = OverridesParser.create().parse_override(f"ckpt={word}").value()
    assert home.unquoted(word) == (value if isinstance(value, str) else word)
