"""Death and a full disk at any operation of the file system, counted from outside the program."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

OPERATIONS = ("mkdir", "rename", "replace", "link", "unlink", "rmdir", "fsync", "write")
"""Functions of `os` that change a disk; `io.open` is one more if it opens a file to write."""


class Operations:
    """The operations that change a disk while `counted` patches them; `act` runs before the one that `at` names.

    `at` counts all operations from 0, or those of one name: `("fsync", 1)` is the second fsync.
    """

    def __init__(self, at: int | tuple[str, int], act: Callable[[], object], beside: bool = False) -> None:
        """With `beside`, operations of the main thread do not count."""
        self.at, self.act, self.beside = at, act, beside
        self.names: list[str] = []
        self.lock = threading.Lock()

    def counted(self, patch: pytest.MonkeyPatch) -> None:
        """Count from now on, until the patches end."""
        for name in OPERATIONS:
            patch.setattr(os, name, self._noted(name, getattr(os, name), lambda arguments, more: True))
        patch.setattr(io, "open", self._noted("open", io.open, _writes))

    def _noted(self, name: str, original: Callable[..., Any], counts: Callable[[Any, Any], bool]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            if counts(arguments, more) and not (self.beside and threading.current_thread() is threading.main_thread()):
                with self.lock:
                    self.names.append(name)
                    if self.at in (len(self.names) - 1, (name, self.names.count(name) - 1)):
                        self.act()
            return original(*arguments, **more)

        return call


def die() -> None:
    """End this process as a loss of power or a kill would."""
    os.kill(os.getpid(), signal.SIGKILL)


def _writes(arguments: tuple[Any, ...], more: dict[str, Any]) -> bool:
    mode = more.get("mode", arguments[1] if len(arguments) > 1 else "r")
    return isinstance(mode, str) and bool(set("wax+") & set(mode))
