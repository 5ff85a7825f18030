"""Text on its way to the terminal, the log and pictures: no control characters, a readable length, no secrets.

Names of classes and files, and words in damaged files, may hold sequences that move the cursor, hide text or rename the
window. So all that a command prints passes through `Screen`, the log through `clean`, names in tables through `name`.
On a terminal, `Screen` also breaks lines between words.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, TextIO

LINE = 10_000
"""Characters of a printed line."""
MESSAGE = 2_000
"""Characters of an error or a warning; no message of densepred itself is as long."""
NAME = 80
"""Characters of a name in a table, a picture or a message."""

HIDDEN = "<redacted>"
NARROW = 30  # columns below which lines are left to the terminal
SHORTEST = 4  # characters of a secret that is searched for in text: shorter ones stand in ordinary words

_secrets: set[str] = set()
_bars: list[Callable[[], object]] = []  # functions that clear the bars on the terminal
_whole: list[None] = []  # filled while lines are not to be broken


def keep_secret(value: object) -> None:
    """Replace `value` by HIDDEN in all text from now on."""
    text = str(value)
    if len(text) >= SHORTEST and text != HIDDEN:
        _secrets.add(text)


def secrets() -> tuple[str, ...]:
    """Return the values that are hidden, the longest first; for other processes of the run."""
    return tuple(sorted(_secrets, key=lambda text: (-len(text), text)))


def without_secrets(text: str) -> str:
    for secret in secrets():
        text = text.replace(secret, HIDDEN)
    return text


def clean(text: str, longest: int = LINE) -> str:
    """Return text of several lines as it may be shown: control characters escaped, long lines cut, secrets hidden."""
    return "\n".join(_cut(_visible(line), longest) for line in without_secrets(text).split("\n"))


def name(text: object, longest: int = NAME) -> str:
    """Return a name from a file on one line, at most `longest` characters."""
    return _cut(_visible(without_secrets(str(text)), tabs=False), longest)


def many(count: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun: "1 image", "2 images"."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


class Screen:
    """A stream of text, such as standard output, that shows `clean` text alone, on a terminal in lines that fit.

    A stream that takes no more text ends no work: what follows is dropped, and `taken_error` returns the reason.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = ""  # what the line on the terminal has already
        self._error: OSError | None = None

    def write(self, text: str) -> int:
        for clear in _bars:
            clear()
        shown, width = clean(text), columns(self._stream)
        if width is not None and not _whole:
            lines = "\n".join(fitted(line, width) for line in (self._line + shown).split("\n"))
            shown = lines.removeprefix(self._line) if lines.startswith(self._line) else shown
        self._line = (shown if "\n" in shown else self._line + shown).rpartition("\n")[2]
        with self._dropping():
            self._stream.write(shown)
        return len(text)

    def flush(self) -> None:
        with self._dropping():
            self._stream.flush()

    def taken_error(self) -> OSError | None:
        """Return why text was lost, once; None also if a reader such as `head` has ended, which wanted no more."""
        error, self._error = self._error, None
        return error

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with open(os.devnull, "w") as nowhere:  # also for what waits in buffers, and for other processes
                os.dup2(nowhere.fileno(), self._stream.fileno())
            if not isinstance(error, BrokenPipeError):
                self._error = error

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def install(known: Iterable[str] = ()) -> None:
    """Put a Screen before standard output and standard error of this process; `known` are secrets of another one."""
    _secrets.update(known)
    for stream in ("stdout", "stderr"):
        if not isinstance(getattr(sys, stream), Screen):
            setattr(sys, stream, Screen(getattr(sys, stream)))


def columns(stream: TextIO) -> int | None:
    """Return the width of a terminal, which COLUMNS overrides; None of files, pipes and notebooks."""
    if not stream.isatty():
        return None
    try:
        found = int(os.environ.get("COLUMNS") or os.get_terminal_size(stream.fileno()).columns)
    except (ValueError, OSError):
        return None
    return found if found >= NARROW else None


@contextmanager
def whole() -> Iterator[None]:
    """Leave lines unbroken meanwhile: text for programs, such as JSON and YAML."""
    _whole.append(None)
    try:
        yield
    finally:
        _whole.pop()


WORD = re.compile(r"( *)('[^' ]*=[^']*'\S*|\S+)")  # an override in quotes is one word
TYPED = re.compile(r"'?(densepred-[a-z]+$|--?[a-z]|[+~]{0,2}[A-Za-z_][\w./@]*=)")
COLUMN = re.compile(r" *\S+(?: \S+)* {2,}(?=\S)|\w+: ")  # the name before a value, or the kind of a message


def fitted(line: str, width: int) -> str:
    """Break a line between words. Its other lines are indented as its value is, or by four more than the line.

    A break within words to type ends with a backslash, so that they can still be copied to a shell. Words wider than
    the terminal stay whole.
    """
    if len(line) <= width:
        return line
    column = COLUMN.match(line)
    indent = len(line) - len(line.lstrip(" ")) + 4
    indent = column.end() if column is not None and indent <= column.end() <= width // 3 else indent
    words = WORD.findall(line)
    after = [_typed(one, other) for (_, one), (_, other) in pairwise(words)]
    found, current = [], ""
    for (gap, word), typed, before in zip(words, [*after, False], [False, *after], strict=True):
        if current.strip() and len(current) + len(gap) + len(word) > width - 2 * typed:
            found.append(current + " \\" * before)
            current = " " * indent + word
        else:
            current += gap + word
    return "\n".join([*found, current])


def _typed(word: str, after: str) -> bool:
    """Return True for two words of one command."""
    return bool(TYPED.match(word) and TYPED.match(after)) and word[-1] not in ",;:"


def unscreened(stream: TextIO) -> TextIO:
    """Return the stream below a Screen, for sequences that move the cursor: a Screen would show them as text."""
    return stream._stream if isinstance(stream, Screen) else stream


@contextmanager
def above(clear: Callable[[], object]) -> Iterator[None]:
    """Call `clear`, which removes a bar, before each text that is written meanwhile; the bar comes back below it."""
    _bars.append(clear)
    try:
        yield
    finally:
        _bars.remove(clear)


def erase(lines: int) -> None:
    """Remove the last lines from the terminal that standard output is."""
    stream = unscreened(sys.stdout)
    stream.write(f"\033[{lines}A\033[J")
    stream.flush()


def _visible(text: str, tabs: bool = True) -> str:
    """Escape what terminals obey or do not show: control, format, private and unpaired characters, line separators."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _shown(char) or (tabs and char == "\t") else _escaped(char) for char in text)


def _shown(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] != "C" and category not in ("Zl", "Zp")


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    more = f"... ({len(text)} characters)" if longest > NAME else "..."
    return text[: longest - len(more)] + more
