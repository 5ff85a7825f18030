"""Errors and notices that users see, and the hint for a misspelt word. Free of torch, so that imports stay fast."""

from __future__ import annotations

import difflib
import errno
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any


class UserError(ValueError):
    """A mistake that the user can correct. The message is one line: the file or key, the fact, the remedy."""


class Notice(UserWarning):
    """Something that the user should know and that stops nothing. Components issue it by `warnings.warn`."""


@contextmanager
def notices(tell: Callable[[str], object]) -> Iterator[None]:
    """Pass every Notice to `tell`; without this, Python prints it with the line of code that issued it."""
    show, before = warnings.showwarning, set[str]()

    def told(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if not issubclass(category, Notice):
            show(message, category, *place, **more)
        elif str(message) not in before:  # training and validation read the same files
            before.add(str(message))
            tell(str(message))

    warnings.showwarning = told
    try:
        yield
    finally:
        warnings.showwarning = show


EXHAUSTED = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""Words of torch and CUDA's libraries for memory that ran out."""


def out_of_memory(error: BaseException) -> bool:
    """Recognise what Python, and torch on its devices, raise if memory runs out."""
    text = str(error)
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and any(word in text for word in EXHAUSTED))
    )


SYSTEM = {
    errno.ENOSPC: "free some space, or choose another folder",
    errno.EDQUOT: "free some space, or choose another folder",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f), or the file system's",
    errno.EMFILE: "raise the limit (ulimit -n), or lower data.workers",
    errno.ENFILE: "close other programs, or lower data.workers",
    errno.EACCES: "choose another folder, or change its permissions",
    errno.EPERM: "choose another folder, or change its permissions",
    errno.EROFS: "choose another folder",
    errno.ENOTDIR: "choose another path: a part of it is a file",
    errno.EEXIST: "choose another path: a file has this name",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EIO: "check the disk",
}
"""Remedies for refusals of the operating system, by error number."""


def system_error(error: OSError) -> str | None:
    """Return the sentence for a refusal of the operating system; None if it may be a mistake of densepred."""
    if error.errno not in SYSTEM:
        return None
    where = error.filename2 or error.filename
    fact = (error.strerror or "input or output failed").lower()
    return f"{where or 'the operating system'}: {fact}; {SYSTEM[error.errno]}"


def suggest(word: str, words: Iterable[str], otherwise: str | None = None, count: int = 1) -> str:
    """Return "did you mean ...?" with the `count` closest of `words`, or `otherwise` if none is close.

    Without `otherwise`, all the words are listed instead.
    """
    words = sorted(words)
    if near := difflib.get_close_matches(word, words, count):
        return f"did you mean {' or '.join(near)}?"
    return f"known: {', '.join(words) or 'none'}" if otherwise is None else otherwise


def shown(value: object) -> str:
    """Return `value` as a message may show it: ASCII, in one line, at most 60 characters, whatever its type."""
    try:
        text = ascii(value)
    except (ValueError, RecursionError):  # a number of thousands of digits; a value nested too deep
        text = f"a {type(value).__name__} too large to show"
    return text if len(text) <= 60 else f"{text[:57]}..."
