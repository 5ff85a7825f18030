"""Text on the terminal, in logs and in pictures: no control characters, a readable length, no secrets."""

from __future__ import annotations

import ast
import fcntl
import io
import os
import re
import select
import shlex
import struct
import sys
import termios
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest
import torch

from densepred import output
from densepred.draw.boxes import boxes
from densepred.rundir import console
from densepred.rundir.log import Log

ROOT = Path(__file__).resolve().parents[1]
NOUNS = (
    "boxes|cases|classes|colours|columns|files|images|instances|keypoints|labels|masks|names|objects|others|pages|pairs|"
    "rows|runs|values"
)
SEVERAL = ("ade20k.py: len(found)", "labels.py: len(kept)", "legend.py: len(found)", "report.py: len(found)")
"""Counts of at least two: a list that is not whole, more classes than a map holds, many ids, more than one pair."""

HOSTILE = "road\x1b[2J\x1b]0;title\x07\u202eevil\u2028line\x9b31m\x00\x7f\r\ud800"


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    before = set(output._secrets)
    yield
    output._secrets.clear()
    output._secrets.update(before)


def obeyed(text: str) -> set[str]:
    """Return the characters that a terminal obeys or hides, except for line feeds and tabs."""
    return {c for c in text if unicodedata.category(c)[0] == "C" or unicodedata.category(c) in ("Zl", "Zp")} - {*"\n\t"}


def test_control_characters_are_escaped_and_letters_are_kept() -> None:
    assert obeyed(HOSTILE)
    assert not obeyed(output.clean(HOSTILE))
    assert not obeyed(output.name(HOSTILE))
    assert output.clean("a\x1b[31m\tb\nStraße 道路 🚗") == "a\\x1b[31m\tb\nStraße 道路 🚗"
    assert output.name("a\nb\tc") == "a\\nb\\tc"


def test_no_character_of_unicode_passes_that_a_terminal_obeys() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    assert not obeyed("".join(output.clean(every[place : place + 999]) for place in range(0, len(every), 999)))


def test_long_lines_are_cut_to_a_readable_length() -> None:
    assert len(output.clean("x" * 10**6)) == output.LINE
    assert len(output.clean("x" * 10**6, output.MESSAGE)) == output.MESSAGE
    assert output.clean("x" * 10**6).endswith("(1000000 characters)")
    assert output.name("x" * 100) == "x" * (output.NAME - 3) + "..."


def test_secrets_are_hidden_the_longest_first() -> None:
    output.keep_secret("hunter2")
    output.keep_secret("hunter22")
    output.keep_secret("abc")  # too short: it would stand in ordinary words
    assert output.clean("a hunter22, hunter2 and abc") == "a <redacted>, <redacted> and abc"


def test_all_streams_tables_logs_and_pictures_are_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    output.install(["hunter2"])
    output.install()
    print(HOSTILE, "hunter2")
    print(HOSTILE, "hunter2", file=sys.stderr)
    sys.stdout.writelines([HOSTILE, "hunter2"])
    log = Log(tmp_path)
    log.say(console.table(["class"], [[HOSTILE + "x" * 1000]]) + console.block({HOSTILE: HOSTILE}))
    log.warn(f"{HOSTILE} hunter2")
    log.close()
    texts = [stream.getvalue() for stream in streams] + [(tmp_path / "train.log").read_text()]
    assert [(obeyed(text), "hunter2" in text) for text in texts] == [(set(), False)] * 3
    assert all("road" in text for text in texts)


def test_a_caption_with_control_characters_is_drawn_as_its_escapes() -> None:
    picture, corners = torch.zeros(3, 99, 400, dtype=torch.uint8), torch.tensor([[5.0, 40.0, 30.0, 60.0]])
    drawn = [boxes(picture, corners, [(9, 200, 9)], [text]) for text in ("a\nb", "a\\nb", "x" * 10**5)]
    assert torch.equal(drawn[0], drawn[1])
    assert drawn[2].shape == picture.shape


@pytest.fixture
def terminal() -> Iterator[tuple[TextIO, int]]:
    """A pseudo-terminal of 80 columns as a stream, and the end from which its text is read."""
    reader, end = os.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with open(end, "w", encoding="utf-8") as stream:
        yield stream, reader
    os.close(reader)


def read(reader: int, last: str) -> str:
    """Return what a terminal got, up to `last`: it may come in pieces."""
    found = ""
    while not found.endswith(f"{last}\r\n"):
        assert select.select([reader], [], [], 60)[0], found
        found += os.read(reader, 10_000).decode()
    return found


def test_lines_on_a_terminal_break_between_words(terminal: tuple[TextIO, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    stream, reader = terminal
    lines = [
        "  images   12 axial slices of 4 volumes (stored RAS), 1 channel of 16 bits, with 'x: 1' and dataset.window",
        "warning: data/classes.json: its names are read; type a=1, b=2 or densepred-train dataset=folder "
        "dataset.root=DIR 'dataset.splits={train: 0.8, valid: 0.2}' data.workers=0",
        "x" * 100,
        "short  and   spaced",
    ]
    shown: Any = output.Screen(stream)
    print("begun", end=" ", file=shown)
    print("\n".join(lines), file=shown, flush=True)
    seen = read(reader, lines[-1]).replace("\r\n", "\n").splitlines()
    assert [line for line in seen if len(line) > 80] == ["x" * 100]
    assert " ".join(seen).replace("\\ ", "").split() == ["begun", *" ".join(lines).split()]
    assert any(line.endswith(" \\") for line in seen)
    assert "short  and   spaced" in seen
    with output.whole():
        print(lines[0], file=shown, flush=True)
    assert read(reader, lines[0]) == f"{lines[0]}\r\n"


def test_words_to_type_can_be_copied_from_broken_lines() -> None:
    words = ["densepred-train", *(f"'dataset.{letter * 9}={{a: {letter}, b: 2}}'" for letter in "abcdefgh")]
    broken = output.fitted(f"  type: {' '.join(words)}", 60)
    assert max(map(len, broken.splitlines())) <= 60
    assert shlex.split(broken.replace("\\\n", ""))[1:] == shlex.split(" ".join(words))


def test_a_line_that_goes_to_a_file_stays_whole() -> None:
    file = io.StringIO()
    output.Screen(file).write("word " * 100 + "\n")
    assert file.getvalue() == "word " * 100 + "\n"


def test_a_noun_is_singular_after_one() -> None:
    assert [output.many(count, "image") for count in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert [output.many(count, "class", "classes") for count in (1, 2)] == ["1 class", "2 classes"]


def plurals() -> Iterator[str]:
    """Yield each f-string of the package that sets a length before a plural, whatever the length is."""
    for path in sorted((ROOT / "densepred").rglob("*.py")):
        for text in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.JoinedStr)):
            parts = [one.value if isinstance(one, ast.Constant) else one for one in text.values]
            for before, count, after in zip(["", *parts], parts, [*parts[1:], ""], strict=False):
                if not isinstance(count, ast.FormattedValue) or not ast.unparse(count.value).startswith("len("):
                    continue
                of = isinstance(before, str) and re.search(r"\b(of|of the|than) $", before)
                if not of and isinstance(after, str) and re.match(rf" (\w+ )?({NOUNS})\b", after):
                    yield f"{path.name}: {ast.unparse(count.value)}{after[:30]}"


def test_one_thing_is_never_told_in_the_plural() -> None:
    """Lengths that may be 1 go through `many`; those of `SEVERAL` are larger by what stands before them."""
    assert [found for found in plurals() if not found.startswith(SEVERAL)] == []
    assert {found.split(": ")[0] for found in plurals()} == {one.split(": ")[0] for one in SEVERAL}
