"""Paths as users type them. Free of torch, so that imports stay fast.

`~` and `~name` stand for home folders. The grammar of overrides gives a meaning to signs such as `=` and `,`, and the
shell to others.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from densepred.errors import UserError, in_shell

PLAIN = re.compile(r"[A-Za-z0-9_./@%+:~-]+( +[A-Za-z0-9_./@%+:~-]+)*")
"""Values that the grammar of overrides reads as they are."""


def from_here(path: Path) -> str:
    """Return a path as a user would type it here: relative if it lies below the current folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (OSError, ValueError):  # the current folder is gone; the path lies elsewhere
        return str(path)


def expand(text: str | Path) -> Path:
    """Return the path with `~` replaced, or raise UserError if there is no such user."""
    found = Path(os.path.expanduser(text))
    if str(found).startswith("~"):
        name = found.parts[0]
        raise UserError(f"{text}: {name} is the home of no user here; write the path, or ./{text} for such a folder")
    return found


def override(key: str, path: str | Path) -> str:
    """Return `key=path` as the grammar of overrides takes it: in quotes if it holds signs with a meaning there."""
    text = str(path)
    if PLAIN.fullmatch(text):
        return f"{key}={text}"
    return f"{key}={in_quotes(text)}"


def in_quotes(text: str, sign: str = '"') -> str:
    """Return a text in quotes for the grammar of overrides; a quote and backslashes before it are escaped."""
    escaped = re.sub(rf"(\\*)({sign}|$)", lambda found: found[1] * 2 + (f"\\{sign}" if found[2] else ""), text)
    return f"{sign}{escaped}{sign}"


def unquoted(text: str) -> str:
    """Undo `in_quotes`, and the escapes of a value without quotes, such as `a\\,b`."""
    text = text.strip()
    sign, inner = text[:1], text[1:-1]
    if sign in ("'", '"') and len(text) > 1 and text.endswith(sign):
        return re.sub(rf"(\\+)({sign}|$)", lambda found: found[1][: len(found[1]) // 2] + found[2], inner)
    return text if sign in ("[", "{") else re.sub(r"\\([\\()\[\]{}:=, \t])", r"\1", text)


def typed(key: str, path: str | Path) -> str:
    """Return `key=path` as it is typed in a shell, on one line; signs that no terminal shows as `$'\\n'` of bash."""
    word = override(key, path)
    return in_shell(word) if word.isprintable() else f"$'{''.join(map(_escaped, word))}'"


def _escaped(char: str) -> str:
    if char.isprintable():
        return f"\\{char}" if char in "\\'" else char
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
