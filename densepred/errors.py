"""The error that users see, and the hint that goes with it: apart from `types.py`, so that nobody waits for torch."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any


class UserError(ValueError):
    """Something the user can mend. The message is one line: what, in which file or key, and what to do about it."""


class Notice(UserWarning):
    """Something the user should know that stops nothing. Components give it by `warnings.warn`."""


@contextmanager
def notices(tell: Callable[[str], object]) -> Iterator[None]:
    """Hand every Notice to `tell`, instead of printing it with the line of code that gave it."""
    show = warnings.showwarning

    def told(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, Notice):
            tell(str(message))
        else:
            show(message, category, *place, **more)

    warnings.showwarning = told
    try:
        yield
    finally:
        warnings.showwarning = show


def suggest(word: str, words: Iterable[str]) -> str:
    """A remedy for a misspelt word: the nearest of `words`, or all of them."""
    words = sorted(words)
    near = difflib.get_close_matches(word, words, 1, 0.6)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(words) or 'none'}"
