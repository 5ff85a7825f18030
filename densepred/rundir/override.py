"""Overrides as they are typed: `key=value`, also with Hydra's `+`, `++` or `~` before the key."""

from __future__ import annotations

from collections.abc import Iterable

from densepred.home import unquoted


def key(word: str) -> str:
    """Return the key of an override, without Hydra's signs before it."""
    return word.partition("=")[0].lstrip("+~").strip()


def value(words: Iterable[str], wanted: str) -> str | None:
    """Return the text of a key's value, unquoted, of the last word that has it, as in Hydra; None if no word has it."""
    found = [word.partition("=")[2] for word in words if key(word) == wanted and word[:1] not in ("-", "~")]
    return unquoted(found[-1]) if found else None
