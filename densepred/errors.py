"""The error that users see, and the hint that goes with it: apart from `types.py`, so that nobody waits for torch."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something the user can mend. The message is one line: what, in which file or key, and what to do about it."""


def suggest(word: str, words: Iterable[str]) -> str:
    """A remedy for a misspelt word: the nearest of `words`, or all of them."""
    words = sorted(words)
    near = difflib.get_close_matches(word, words, 1, 0.6)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(words) or 'none'}"
