"""Text on its way to the terminal, the log and pictures: no control characters, a readable length, no secrets.

Names of classes and files, and words in damaged files, may hold sequences that move the cursor, hide text or rename the
window. So all that a command prints passes through `Screen`, the log through `clean`, names in tables through `name`.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

LINE = 10_000
"""Characters of a printed line."""
MESSAGE = 2_000
"""Characters of an error or a warning; no message of densepred itself is as long."""
NAME = 80
"""Characters of a name in a table, a picture or a message."""

HIDDEN = "<redacted>"
SHORTEST = 4  # characters of a secret that is searched for in text: shorter ones stand in ordinary words

_secrets: set[str] = set()
_bars: list[Callable[[], object]] = []  # functions that clear the bars on the terminal


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


class Screen:
    """A stream of text, such as standard output, that shows `clean` text alone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        for clear in _bars:
            clear()
        self._stream.write(clean(text))
        return len(text)

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
