"""An audit hook that hears what opening a file does behind one's back."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from densepred.errors import UserError
from densepred.weights.file import load_model

ALARMS = ("os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess", "socket", "urllib", "shutil", "os.remove")
MAKERS = ("/dataclasses.py", "/collections/__init__.py", "/typing.py")
"""Modules of Python that write the methods of classes as text."""
heard: list[str] = []
listening = False


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: it cannot be removed, so it listens only while a hostile file is opened."""
    if not listening:
        return
    if event == "exec" and sys._getframe(1).f_code.co_filename.endswith(MAKERS):
        return
    if event.startswith(ALARMS) or event in ("pickle.find_class", "exec") or (event == "open" and _writes(arguments)):
        heard.append(f"{event} {arguments}")
    if event == "import" and not str(arguments[0]).startswith("densepred"):
        heard.append(f"import {arguments[0]}")


def _writes(arguments: tuple[Any, ...]) -> bool:
    mode = str(arguments[1] or "") if len(arguments) > 1 else ""
    return any(letter in mode for letter in "wax+")


sys.addaudithook(_listen)


@contextmanager
def listening_to() -> Iterator[list[str]]:
    """Collect what happens in a block beside reading: processes, connections, written files, code that is no module."""
    global listening
    events: list[str] = []
    heard[:] = []
    listening = True
    try:
        yield events
    finally:
        listening = False
        events += [event for event in heard if not event.startswith(("import ", "exec "))]
        events += [event for event in heard if event.startswith("exec ") and not _of_module(event)]


def _of_module(event: str) -> bool:
    """Return True for the code of a file on the disk, which runs when a module is imported."""
    found = re.search(r'file "([^"]+)", line', event)
    return found is not None and Path(found[1]).is_file()


def refused(path: Path, trust: Sequence[str] = ()) -> str:
    """Open a file, see that it is refused in silence, give the sentence."""
    global listening
    modules, heard[:] = set(sys.modules), []
    listening = True
    try:
        with pytest.raises(UserError) as caught:
            load_model(path, trust)
    finally:
        listening = False
    assert heard == []
    assert set(sys.modules) - modules == set()
    assert "\n" not in str(caught.value)
    return str(caught.value)
